//! The same requests to real etcd and to ours, and their answers compared.
//!
//! A seed says which requests are made ([`generate`]). Both servers start empty and get each
//! request at the same point of their histories, so whatever differs after [`mask`] has taken out
//! ids, times and tokens is a difference between the servers. It is either a row of
//! `tests/api-differences.md` ([`differences`]) or a failure that prints the seed, the request
//! and both answers.
//!
//! A request is protobuf's JSON: what is sent by gRPC and what is sent to the gateway are one
//! value, and it is made of numbers and strings, so it can be as wrong as a client can make it.

pub mod answer;
pub mod campaign;
pub mod contract;
pub mod differences;
pub mod generate;
mod http;
pub mod mask;
mod perform;
pub mod run;
pub mod side;
pub mod step;
pub mod tally;
mod watching;
pub mod wire;

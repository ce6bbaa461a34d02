//! Running members, as their users and those who wish them ill meet them; what they answer is held
//! against Debian's etcd where it should be the same. They wait more than they compute, so that they
//! are one program.

mod auth;
mod bad_input;
mod gateway;
mod hashkv;
mod hostile_client;
mod http;
mod server;
mod sessions;
mod turns;

//! Mistakes that people make with connections, and what they are told: the cause with its facts,
//! and the fix. As `etcdctl` the text stays etcdctl's, which names no cause
//! (bad-inputs.md, B115 to B122).

mod arguments;
mod certificates;
mod files;
mod network;
mod schemes;
mod site;

//! What people build on etcd, with several real processes, on our server and on Debian's etcd.

mod locks;
mod stage;

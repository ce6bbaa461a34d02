//! Commands that a person and a script run, under each of the program's names.

mod completion;
mod doctor;
mod etcdctl;
mod etcdutl;
mod obstacles;

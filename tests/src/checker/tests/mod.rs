mod generated;
mod generator;
mod illegal;
mod illegal_watches;
mod legal;
mod mutation;
mod script;

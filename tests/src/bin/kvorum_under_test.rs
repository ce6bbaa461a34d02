//! The whole of `kvorum`, as a binary of this crate: cargo builds it for the tests and tells them
//! where it is.

fn main() -> std::process::ExitCode {
    kvorum::run()
}

fn main() -> std::process::ExitCode {
    kvorum::run()
}

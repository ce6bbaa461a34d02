//! The dashboard by itself: `cargo run -p kvorum-tui --example dash -- 127.0.0.1:2379`

use kvorum_client::{Config, Endpoint};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoints = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2379".into());
    let config = Config::new(Endpoint::parse_list(&endpoints)?);
    kvorum_tui::run(config, kvorum_tui::Options::from_env()).await?;
    Ok(())
}

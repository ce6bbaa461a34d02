//! A small HTTP/1.1 client for tests: one request on one connection, every byte under control.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// How long a part of an answer may take to come.
const PART_WITHIN: Duration = Duration::from_secs(20);

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Sends a request and reads the answer to its end. `headers` may name the host, which is else
/// the address.
pub fn request(
    address: &str,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    let mut exchange = Exchange::open(address, line, headers, body)?;
    let (status, headers) = exchange.head()?;
    let mut body = Vec::new();
    while let Some(part) = exchange.part()? {
        body.extend_from_slice(&part);
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Answer { status, headers, body })
}

/// A request whose body and answer are streams.
pub struct Exchange {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    chunked: bool,
    left: Option<usize>,
    line: Vec<u8>,
}

impl Exchange {
    /// Begins a POST whose body is sent in chunks.
    pub fn streaming(address: &str, path: &str) -> io::Result<Exchange> {
        Exchange::begin(address, &format!("POST {path}"), &[("Transfer-Encoding", "chunked")])
    }

    /// Sends a whole request, whose answer may be a stream.
    pub fn open(
        address: &str,
        line: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Exchange> {
        let length = body.len().to_string();
        let mut all = vec![("Connection", "close"), ("Content-Length", length.as_str())];
        all.extend_from_slice(headers);
        let mut exchange = Exchange::begin(address, line, &all)?;
        exchange.send(body.as_bytes())?;
        Ok(exchange)
    }

    fn begin(address: &str, line: &str, headers: &[(&str, &str)]) -> io::Result<Exchange> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PART_WITHIN))?;
        let reader = BufReader::new(stream.try_clone()?);
        let mut exchange =
            Exchange { stream, reader, chunked: false, left: None, line: Vec::new() };
        let mut head = format!("{line} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.extend(["Host: ", address, "\r\n"]);
        }
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        exchange.send(head.as_bytes())?;
        Ok(exchange)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a part of the body.
    pub fn send_chunk(&mut self, part: &str) -> io::Result<()> {
        self.send(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes())
    }

    /// There is no more of the body.
    pub fn send_end(&mut self) -> io::Result<()> {
        self.send(b"0\r\n\r\n")
    }

    /// Status and headers of the answer.
    pub fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let first = self.head_line()?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let mut headers = Vec::new();
        loop {
            let line = self.head_line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let find = |name: &str| headers.iter().find(|(other, _)| other == name);
        self.chunked = find("transfer-encoding").is_some_and(|(_, value)| value == "chunked");
        self.left = find("content-length").and_then(|(_, length)| length.parse().ok());
        Ok((status, headers))
    }

    /// The next line of the answer's body; none at its end.
    pub fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.line.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            match self.part()? {
                Some(part) => self.line.extend_from_slice(&part),
                None => return Ok(None),
            }
        }
    }

    /// The first line of the answer's body, or all of it if it is no line.
    pub fn first(&mut self) -> io::Result<String> {
        if let Some(line) = self.line()? {
            return Ok(line);
        }
        let rest = std::mem::take(&mut self.line);
        Ok(String::from_utf8_lossy(&rest).into_owned())
    }

    fn head_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// What comes next of the body; none at its end.
    fn part(&mut self) -> io::Result<Option<Vec<u8>>> {
        if !self.chunked {
            let mut rest = Vec::new();
            match self.left.take() {
                Some(0) => return Ok(None),
                Some(length) => {
                    rest.resize(length, 0);
                    self.reader.read_exact(&mut rest)?;
                    self.left = Some(0);
                }
                None => {
                    self.reader.read_to_end(&mut rest)?;
                    self.left = Some(0);
                }
            }
            return Ok(Some(rest));
        }
        let size = self.head_line()?;
        let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
        if size == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk)?;
        chunk.truncate(size);
        Ok(Some(chunk))
    }
}

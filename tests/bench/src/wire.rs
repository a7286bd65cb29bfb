//! HTTP/1.1 as small as it gets: one connection, one request at a time, buffers that are kept.
//!
//! A load generator shares the machine with what it measures. This one spends about a tenth of what a general client
//! spends on a request.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What events of a load say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// A call of a model: four measures and four attributes, as a gateway reports it; some 300 bytes.
    Llm,
    /// A call with one measure, `units`, and one attribute.
    Units,
}

impl Shape {
    /// What happened.
    pub fn event_type(self) -> &'static str {
        match self {
            Shape::Llm => "llm.call",
            Shape::Units => "api.call",
        }
    }

    /// Measures and attributes of an event, as members of a JSON object.
    pub fn data(self, model: &str) -> String {
        match self {
            Shape::Llm => format!(
                "\"measures\":{{\"input_tokens\":1200,\"cache_read_tokens\":6400,\
                 \"output_tokens\":350,\"reasoning_tokens\":128}},\
                 \"attributes\":{{\"model\":\"{model}\",\"team\":\"search-and-ranking\",\
                 \"feature\":\"answer-with-sources\",\"agent\":\"assistant-eu\"}}"
            ),
            Shape::Units => {
                "\"measures\":{\"units\":3},\"attributes\":{\"region\":\"eu-central\"}".to_string()
            }
        }
    }
}

/// In which form events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// An event a line.
    Ndjson,
    /// A JSON array.
    Json,
    /// A batch of CloudEvents.
    Cloudevents,
}

impl Form {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Form::Ndjson => "application/x-ndjson",
            Form::Json => "application/json",
            Form::Cloudevents => "application/cloudevents-batch+json",
        }
    }

    /// What stands before all events, between two, and behind all.
    pub fn joints(self) -> [&'static str; 3] {
        match self {
            Form::Ndjson => ["", "", ""],
            Form::Json | Form::Cloudevents => ["[", ",", "]"],
        }
    }

    /// An event, up to where its id ends, and what follows on that.
    pub fn event(self, id: &str, customer: &str, shape: Shape, model: &str) -> (String, String) {
        let (event_type, data) = (shape.event_type(), shape.data(model));
        match self {
            Form::Ndjson | Form::Json => {
                let end = if self == Form::Ndjson { "\n" } else { "" };
                (
                    format!("{{\"id\":\"{id}"),
                    format!("\",\"customer\":\"{customer}\",\"type\":\"{event_type}\",{data}}}{end}"),
                )
            }
            Form::Cloudevents => (
                format!("{{\"specversion\":\"1.0\",\"source\":\"gateway\",\"id\":\"{id}"),
                format!("\",\"subject\":\"{customer}\",\"type\":\"{event_type}\",\"data\":{{{data}}}}}"),
            ),
        }
    }
}

/// Whom a load is for.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where the server listens.
    pub address: SocketAddr,
    /// A key to it.
    pub key: String,
    /// What the names of the customers begin with.
    pub prefix: String,
    /// How many customers there are.
    pub customers: u32,
    /// What events are of.
    pub shape: Shape,
    /// The model of every event, where it has one.
    pub model: String,
    /// Makes ids unique.
    pub run: String,
    /// How long.
    pub time: Duration,
}

/// A connection that is kept.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    head: String,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Connection {
    /// Connects. Requests go to `path`, with bodies of one content type.
    pub async fn open(target: &Target, path: &str, content_type: &str) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(target.address)
            .await
            .context("cannot connect")?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: {content_type}\r\n",
            target.address, target.key
        );
        Ok(Connection {
            stream,
            head,
            request: Vec::new(),
            response: vec![0; 64 << 10],
        })
    }

    /// Sends a body; gives the status and the body of the answer.
    pub async fn post(&mut self, body: &[u8]) -> anyhow::Result<(u16, &[u8])> {
        self.request.clear();
        self.request.extend_from_slice(self.head.as_bytes());
        self.request
            .extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        if body.len() < 4096 {
            self.request.extend_from_slice(body);
            self.stream.write_all(&self.request).await?;
        } else {
            self.stream.write_all(&self.request).await?;
            self.stream.write_all(body).await?;
        }
        let mut read = 0;
        let head = loop {
            read += self.more(read).await?;
            if let Some(head) = head(&self.response[..read])? {
                break head;
            }
        };
        let end = head.body + head.length;
        while read < end {
            read += self.more(read).await?;
        }
        Ok((head.status, &self.response[head.body..end]))
    }

    async fn more(&mut self, read: usize) -> anyhow::Result<usize> {
        if read == self.response.len() {
            self.response.resize(read * 2, 0);
        }
        match self.stream.read(&mut self.response[read..]).await? {
            0 => bail!("the server closed the connection"),
            count => Ok(count),
        }
    }
}

/// What the head of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Where the body begins.
    body: usize,
    /// How long it is.
    length: usize,
}

/// The head of an answer, once it is there as a whole.
fn head(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end]).context("a head that is no text")?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("not HTTP: {text}"))?;
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            let length = value
                .trim()
                .parse()
                .with_context(|| format!("not a length: {line}"))?;
            return Ok(Some(Head {
                status,
                body: end + 4,
                length,
            }));
        }
    }
    bail!("an answer without content-length: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_they_are_whole() {
        let answer = b"HTTP/1.1 402 Payment Required\r\nContent-Length: 7\r\nx: y\r\n\r\n{\"a\":1}";
        assert_eq!(head(&answer[..30]).unwrap(), None);
        let expected = Head {
            status: 402,
            body: answer.len() - 7,
            length: 7,
        };
        assert_eq!(head(answer).unwrap(), Some(expected));
        assert!(head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}

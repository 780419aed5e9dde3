//! A server in this process, and a client that reads with a deadline.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use farwheel_proto::signaling::{
    ClientFrame, ClientMessage, ErrorCode, HelloOk, Joined, Limits, PeerId, SUBPROTOCOL, ServerFrame,
    ServerMessage,
};
use farwheel_signaling::Server;
use farwheel_signaling::config::{Config, Settings};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::{self, http};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longest wait for anything; reached only by a failing test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("no {what} within {PATIENCE:?}"),
    }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) turn: Option<SocketAddr>,
    pub(crate) turn_stream: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<anyhow::Result<()>>,
}

/// A server on free loopback ports.
pub(crate) fn loopback() -> Settings {
    Settings { listen: Some(([127, 0, 0, 1], 0).into()), ..Settings::default() }
}

pub(crate) async fn start(settings: Settings) -> Running {
    let server = Server::bind(Config::try_from(settings).unwrap()).await.unwrap();
    let url = server.url();
    let address = url.split('/').nth(2).unwrap().parse().unwrap();
    let (turn, turn_stream) = (server.turn_address(), server.turn_stream_address());
    let (stop, stopped) = oneshot::channel();
    let done = tokio::spawn(server.serve(async {
        stopped.await.ok();
    }));
    Running { address, turn, turn_stream, stop: Some(stop), done }
}

impl Running {
    pub(crate) fn begin_stop(&mut self) {
        self.stop.take().expect("stopped once").send(()).unwrap();
    }

    pub(crate) async fn ended(self) {
        soon("end of the server", self.done).await.unwrap().unwrap();
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::over(self.tcp().await, &self.address.to_string()).await
    }

    /// A client that has said hello.
    pub(crate) async fn greeted(&self, name: &str) -> (Client, HelloOk) {
        let mut client = self.connect().await;
        client.say(hello(json!({"anonymous": true, "name": name}))).await;
        let ok = client.hello_ok().await;
        (client, ok)
    }

    /// A client in a room.
    pub(crate) async fn member(&self, name: &str, role: &str) -> (Client, HelloOk, Joined) {
        let (mut client, ok) = self.greeted(name).await;
        client.say(json!({"type": "join", "room": "car", "role": role})).await;
        match client.next().await.message {
            ServerMessage::Joined(joined) => (client, ok, joined),
            other => panic!("{other:?}"),
        }
    }

    /// Sends one HTTP request and returns the whole answer.
    pub(crate) async fn http(&self, head: &str) -> String {
        let mut stream = self.tcp().await;
        stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("HTTP answer", stream.read_to_string(&mut answer)).await.unwrap();
        answer
    }

    pub(crate) async fn health(&self) -> Value {
        let answer = self.http("GET /healthz HTTP/1.1\r\nHost: x").await;
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }

    /// Waits until a number of `/healthz` is as wanted.
    pub(crate) async fn until(&self, field: &str, want: u64) {
        soon(field, async {
            while self.health().await[field] != want {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(crate) struct Client {
    ws: WebSocketStream<Box<dyn Io>>,
}

pub(crate) fn request(host: &str) -> http::Request<()> {
    let mut request = format!("ws://{host}/v1/ws").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", SUBPROTOCOL.parse().unwrap());
    request
}

impl Client {
    /// Shakes hands and reads the welcome.
    pub(crate) async fn over(stream: impl Io + 'static, host: &str) -> Self {
        let stream: Box<dyn Io> = Box::new(stream);
        let (ws, answer) = soon("handshake", client_async(request(host), stream)).await.unwrap();
        assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], SUBPROTOCOL);
        let mut client = Self { ws };
        assert!(matches!(client.next().await.message, ServerMessage::Welcome { .. }));
        client
    }

    pub(crate) async fn say(&mut self, value: Value) {
        self.text(value.to_string()).await;
    }

    pub(crate) async fn text(&mut self, text: String) {
        soon("sending", self.ws.send(Message::text(text))).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: ClientMessage) {
        self.text(ClientFrame::new(message).to_json()).await;
    }

    pub(crate) async fn next(&mut self) -> ServerFrame {
        match soon("message", self.ws.next()).await {
            Some(Ok(Message::Text(text))) => ServerFrame::parse(text.as_bytes(), &Limits::default()).unwrap(),
            other => panic!("no message but {other:?}"),
        }
    }

    pub(crate) async fn hello_ok(&mut self) -> HelloOk {
        match self.next().await.message {
            ServerMessage::HelloOk(ok) => ok,
            other => panic!("{other:?}"),
        }
    }

    /// Reads until the connection closes; the code of the last error and of the close frame, which have to agree.
    pub(crate) async fn closed(mut self) -> ErrorCode {
        let mut told = None;
        loop {
            match soon("close", self.ws.next()).await {
                Some(Ok(Message::Text(text))) => {
                    let frame = ServerFrame::parse(text.as_bytes(), &Limits::default()).unwrap();
                    if let ServerMessage::Error(failure) = frame.message {
                        told = Some(failure.code);
                    }
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    let code = ErrorCode::from_close_code(frame.code.into()).expect("one of ours");
                    assert!(told.is_none_or(|told| told == code), "{told:?} then {code}");
                    return code;
                }
                other => panic!("no close but {other:?}"),
            }
        }
    }

    /// Ends the connection without a word, like a pulled cable that the system noticed.
    pub(crate) fn cut(self) {
        drop(self);
    }
}

pub(crate) fn hello(auth: Value) -> Value {
    json!({"type": "hello", "protocol": "rtcsig/1", "client": {"name": "test", "version": "1"}, "auth": auth})
}

pub(crate) fn candidate(to: PeerId, data: Value) -> Value {
    json!({"type": "signal", "to": to, "conn": "0000000000000001", "kind": "candidate", "data": data})
}

/// The status line of a refused handshake.
pub(crate) fn refusal(error: tungstenite::Error) -> u16 {
    match error {
        tungstenite::Error::Http(answer) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

//! `farwheel doctor`: what works on this computer, what does not, and what to do about it.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use farwheel_media::audio;
use farwheel_media::capture::usb;
use farwheel_media::encode::{Assembler, assembler};
use farwheel_peer::signaling::{self, Client, IceServer, Role};
use serde_json::json;

use super::Exit;
use super::server::Proof;
use crate::input::gamepad::Gamepads;
use crate::model::connect::Problem;
use crate::model::lobby::Room;
use crate::session::problem;
use crate::settings::Store;

mod nat;

/// Arguments of `farwheel doctor`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Doctor {
    #[command(subcommand)]
    what: Option<What>,
    /// Also try to reach this signalling server and its STUN servers.
    #[arg(long, env = "FARWHEEL_SERVER", value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    proof: Proof,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Name the kind of NAT that this computer is behind, and what to expect of it.
    Nat(nat::Nat),
}

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    /// What was looked at.
    subject: &'static str,
    health: Health,
    /// One sentence.
    what: String,
    /// What to do; empty when nothing is to be done.
    remedy: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Good,
    /// Works without it, less well.
    Lacking,
    Bad,
}

impl Health {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Lacking => "note",
            Self::Bad => "BAD",
        }
    }
}

impl Finding {
    fn good(subject: &'static str, what: impl Into<String>) -> Self {
        Self { subject, health: Health::Good, what: what.into(), remedy: String::new() }
    }

    fn lacking(subject: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { subject, health: Health::Lacking, what: what.into(), remedy: remedy.into() }
    }

    fn bad(subject: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { subject, health: Health::Bad, what: what.into(), remedy: remedy.into() }
    }
}

pub(super) fn run(args: &Doctor) -> anyhow::Result<Exit> {
    if let Some(What::Nat(args)) = &args.what {
        return nat::run(args);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let [microphones, speakers] = audio::device_names();
    let mut findings = vec![
        display(),
        graphics(&runtime),
        codec(),
        gamepads(),
        cameras(),
        sound("microphone", &microphones, "Calls are heard, but nobody hears you."),
        sound("speaker", &speakers, "Calls are silent here; the others still hear you."),
        settings(),
    ];
    match &args.server {
        Some(server) => {
            let token = args.proof.token()?;
            findings.extend(runtime.block_on(server_findings(server, token.clone(), args.proof.ca.clone())));
            if findings.iter().all(|f| f.subject != "server" || f.health == Health::Good) {
                let rooms = runtime.block_on(super::rooms::find(server, token, args.proof.ca.clone()));
                findings.push(robots(server, rooms.map_err(|(problem, _)| problem)));
            }
        }
        None => {
            findings.push(Finding::lacking("server", "not looked at.", "Give its address with --server."))
        }
    }
    runtime.shutdown_timeout(Duration::from_millis(100));
    let is_well = findings.iter().all(|f| f.health != Health::Bad);
    if args.json {
        let list: Vec<_> = findings
            .iter()
            .map(|f| json!({"subject": f.subject, "health": f.health.word(), "what": f.what, "remedy": f.remedy}))
            .collect();
        println!("{}", serde_json::to_string_pretty(&json!({"well": is_well, "findings": list}))?);
    } else {
        for f in &findings {
            println!("{:>5}  {:<10} {}", f.health.word(), f.subject, f.what);
            if !f.remedy.is_empty() {
                println!("{:18}{}", "", f.remedy);
            }
        }
    }
    Ok(if is_well { Exit::Done } else { Exit::Unwell })
}

fn display() -> Finding {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !cfg!(target_os = "linux") {
        return Finding::good("display", "the system's own.");
    }
    match (set("WAYLAND_DISPLAY"), set("DISPLAY")) {
        (true, _) => Finding::good("display", "Wayland."),
        (false, true) => Finding::good("display", "X11."),
        (false, false) => Finding::lacking(
            "display",
            "there is none, so the window cannot open.",
            "Start from a desktop session, or use --headless.",
        ),
    }
}

fn graphics(runtime: &tokio::runtime::Runtime) -> Finding {
    use eframe::wgpu;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = runtime.block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
    let best = infos.iter().find(|info| info.device_type != wgpu::DeviceType::Cpu);
    match (best, infos.first()) {
        (Some(info), _) => Finding::good("graphics", format!("{} ({}).", info.name, info.backend)),
        (None, Some(info)) => Finding::lacking(
            "graphics",
            format!("only {} ({}), which draws on the processor.", info.name, info.backend),
            "Install the driver of your graphics card; video works, with more delay.",
        ),
        (None, None) => Finding::bad(
            "graphics",
            "no graphics adapter is found, so the window cannot open.",
            "Install a Vulkan or OpenGL driver (Debian: mesa-vulkan-drivers libgl1-mesa-dri).",
        ),
    }
}

fn codec() -> Finding {
    match assembler() {
        Assembler::Used => Finding::good("codec", format!("{}.", Assembler::Used.in_words())),
        Assembler::Missing => Finding::lacking(
            "codec",
            format!("{}.", Assembler::Missing.in_words()),
            "Install nasm (`sudo apt install nasm`) and build again.",
        ),
    }
}

fn gamepads() -> Finding {
    let pads = Gamepads::open();
    if let Some(why) = pads.unavailable() {
        return Finding::lacking(
            "gamepads",
            format!("{why}."),
            "The keyboard drives too. On Linux, gamepads need udev and read access to /dev/input.",
        );
    }
    let devices = pads.devices();
    if devices.is_empty() {
        return Finding::lacking("gamepads", "none is connected.", "The keyboard drives too.");
    }
    let names: Vec<_> = devices.iter().map(|d| d.name.as_str()).collect();
    Finding::good("gamepads", format!("{}.", names.join(", ")))
}

fn cameras() -> Finding {
    let devices = match usb::devices() {
        Ok(devices) => devices,
        Err(e) => return Finding::lacking("cameras", format!("{e}."), "Calls go without a picture of you."),
    };
    let describe = |device: &usb::Device| match &device.formats {
        Ok(_) => format!("{} (usb:{})", device.name, device.path.display()),
        Err(e) => format!("{} ({e})", device.name),
    };
    let names: Vec<_> = devices.iter().map(describe).collect();
    match devices.iter().any(|device| device.formats.is_ok()) {
        true => Finding::good("cameras", format!("{}.", names.join(", "))),
        false if names.is_empty() => {
            Finding::lacking("cameras", "none is connected.", "Calls go without a picture of you.")
        }
        false => Finding::lacking("cameras", format!("{}.", names.join(", ")), "None of them can be used."),
    }
}

fn sound(subject: &'static str, names: &[String], without: &str) -> Finding {
    match names {
        [] => Finding::lacking(subject, "none is connected.", without),
        names => Finding::good(subject, format!("{}.", names.join("; "))),
    }
}

fn settings() -> Finding {
    let store = match Store::open() {
        Ok(store) => store,
        Err(e) => {
            return Finding::lacking("settings", format!("{e:#}."), "Settings last until the window closes.");
        }
    };
    let folder = store.path().parent().map(PathBuf::from).unwrap_or_default();
    let probe = folder.join(format!(".probe{}", std::process::id()));
    let result = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&probe, b"probe"));
    // Nothing to remove if it could not be written.
    std::fs::remove_file(&probe).ok();
    match result {
        Ok(()) => Finding::good("settings", format!("kept in {}.", store.path().display())),
        Err(e) => Finding::bad(
            "settings",
            format!("{} cannot be written: {e}.", folder.display()),
            "Make the folder writable, or set XDG_CONFIG_HOME to one that is.",
        ),
    }
}

async fn server_findings(server: &str, token: Option<String>, ca: Option<PathBuf>) -> Vec<Finding> {
    match join(server, token, ca).await {
        Err(problem) => vec![Finding::bad("server", problem.what, problem.remedy)],
        Ok((ice_servers, took)) => {
            let ms = took.as_millis();
            let mut findings = vec![Finding::good("server", format!("{server} lets you in, in {ms} ms."))];
            findings.extend(tokio::task::spawn_blocking(move || stun(&ice_servers)).await.ok());
            findings
        }
    }
}

/// Enters a room of its own, and leaves; the STUN and TURN servers, and how long that took.
async fn join(
    server: &str,
    token: Option<String>,
    ca: Option<PathBuf>,
) -> Result<(Vec<IceServer>, Duration), Problem> {
    let room = format!("doctor-{}", std::process::id()).parse().expect("letters, digits and a dash");
    let config = signaling::Config {
        server: server.into(),
        place: signaling::Place::room(room, Role::Viewer),
        name: "doctor".into(),
        token,
        ca,
    };
    config.check().map_err(|error| problem::unusable(&error))?;
    let start = Instant::now();
    let (client, mut events) = Client::connect(config);
    let answer = tokio::time::timeout(SERVER_MAX, async {
        loop {
            match events.recv().await {
                Some(signaling::Event::Joined { ice_servers, .. }) => return Ok(ice_servers),
                Some(signaling::Event::Lost { reason, .. }) => {
                    return Err(problem::unreachable(server, &reason));
                }
                Some(signaling::Event::Fatal(refusal)) => return Err(problem::refused(&refusal, "doctor")),
                Some(_) => {}
                None => return Err(problem::unreachable(server, "closed")),
            }
        }
    })
    .await;
    client.leave();
    let ice_servers = answer.map_err(|_| problem::unreachable(server, "timed out"))??;
    Ok((ice_servers, start.elapsed()))
}

fn robots(server: &str, rooms: Result<Vec<Room>, Problem>) -> Finding {
    match rooms {
        Ok(rooms) if rooms.is_empty() => Finding::lacking(
            "robots",
            "none is there.",
            format!("Start one: `farwheel-robot run --server {server} --room car`."),
        ),
        Ok(rooms) => {
            let names: Vec<_> =
                rooms.iter().map(|room| format!("{} ({})", room.name, room.state().1)).collect();
            Finding::good("robots", format!("{}.", names.join(", ")))
        }
        Err(problem) => Finding::lacking("robots", problem.what, problem.remedy),
    }
}

fn stun(servers: &[IceServer]) -> Finding {
    let urls: Vec<&str> = servers
        .iter()
        .flat_map(|server| server.urls.iter().map(String::as_str))
        .filter_map(|url| url.strip_prefix("stun:").or_else(|| url.strip_prefix("turn:")))
        .map(|rest| rest.split('?').next().unwrap_or(rest))
        .collect();
    let Some(first) = urls.first() else {
        return Finding::lacking(
            "STUN",
            "the server names no STUN or TURN server.",
            "Within one network nothing is missing; across the internet, set them up on the server.",
        );
    };
    for url in &urls {
        if let Ok(Some(own)) = binding(url) {
            return Finding::good("STUN", format!("{url} answers; from there this computer is {own}."));
        }
    }
    Finding::lacking(
        "STUN",
        format!("{first} does not answer."),
        "A firewall may block UDP. Within one network nothing is missing.",
    )
}

/// Asks a STUN server for this computer's address (RFC 8489 section 2), three times half a second.
fn binding(server: &str) -> std::io::Result<Option<SocketAddr>> {
    use std::net::ToSocketAddrs as _;
    let with_port = if server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        server.to_owned()
    } else {
        format!("{server}:3478")
    };
    let Some(address) = with_port.to_socket_addrs()?.next() else { return Ok(None) };
    let local: SocketAddr = if address.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(local)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let transaction: [u8; 12] = std::array::from_fn(|i| (std::process::id() as usize * 31 + i * 7) as u8);
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend(transaction);
    let mut answer = [0; 512];
    for _ in 0..3 {
        socket.send_to(&request, address)?;
        if let Ok((len, from)) = socket.recv_from(&mut answer)
            && from == address
            && answer.get(8..20) == Some(&request[8..20])
        {
            return Ok(mapped_address(&answer[..len]));
        }
    }
    Ok(None)
}

/// XOR-MAPPED-ADDRESS of a success response (RFC 8489 section 14.2); IPv4 only.
fn mapped_address(message: &[u8]) -> Option<SocketAddr> {
    if message.get(..2)? != [1, 1] {
        return None;
    }
    let mut rest = message.get(20..)?;
    while let [t0, t1, l0, l1, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let value = tail.get(..len)?;
        if (*t0, *t1) == (0, 0x20) && value.get(1) == Some(&1) && len >= 8 {
            let port = u16::from_be_bytes([value[2], value[3]]) ^ 0x2112;
            let ip = [value[4] ^ 0x21, value[5] ^ 0x12, value[6] ^ 0xa4, value[7] ^ 0x42];
            return Some((ip, port).into());
        }
        rest = tail.get(len.div_ceil(4) * 4..)?;
    }
    None
}

const SERVER_MAX: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapped_address_is_read_from_the_example_of_rfc_5769() {
        let mut message = vec![1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42];
        message.extend([0; 12]);
        // RFC 5769 section 2.2: 192.0.2.1, port 32853.
        message.extend([0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        assert_eq!(mapped_address(&message), Some(([192, 0, 2, 1], 32853).into()));
        for cut in 0..message.len() {
            assert_eq!(mapped_address(&message[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_stun_server_on_loopback_is_asked_and_one_that_is_silent_is_not_waited_for_long() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let mut request = [0; 64];
            let (_, from) = server.recv_from(&mut request).unwrap();
            let SocketAddr::V4(v4) = from else { panic!("{from}") };
            let mut answer = vec![1, 1, 0, 12];
            answer.extend(&request[4..20]);
            answer.extend([0, 0x20, 0, 8, 0, 1]);
            answer.extend((v4.port() ^ 0x2112).to_be_bytes());
            answer.extend(v4.ip().octets().iter().zip([0x21, 0x12, 0xa4, 0x42]).map(|(a, b)| a ^ b));
            server.send_to(&answer, from).unwrap();
            from
        });
        let own = binding(&address.to_string()).unwrap();
        assert_eq!(own.unwrap().port(), answering.join().unwrap().port());
    }

    #[test]
    fn each_finding_of_this_computer_is_a_sentence() {
        for finding in [display(), codec(), gamepads(), settings()] {
            assert!(finding.what.ends_with('.'), "{finding:?}");
            assert!(finding.health == Health::Good || !finding.remedy.is_empty(), "{finding:?}");
        }
    }
}

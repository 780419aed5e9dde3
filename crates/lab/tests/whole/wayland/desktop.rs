//! A Wayland desktop as far as sharing needs one: the real portal, PipeWire and its session manager on a bus of their own.
//! Only the part that a compositor brings is played here: the answer to the question, and a stream of pictures.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use farwheel_lab::program::{Program, wait_for};
use farwheel_portal::Bus;
use tempfile::TempDir;
use zbus::zvariant::{ObjectPath, OwnedValue, Value};

use super::screen::Screen;

/// What the user answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This one.
    Agrees,
    /// No.
    Refuses,
}

/// A D-Bus of its own, with nobody on it who was not started here.
pub(super) struct PrivateBus {
    address: String,
    _daemon: Program,
    dir: TempDir,
}

impl PrivateBus {
    pub(super) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (config, path) = (dir.path().join("bus.conf"), dir.path().join("bus"));
        let text = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
            path.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("dbus-daemon");
        command.arg("--nofork").arg("--print-address").arg(format!("--config-file={}", config.display()));
        let mut daemon = Program::start(command);
        let address = format!("unix:{}", daemon.wait_line("unix:"));
        Self { address, _daemon: daemon, dir }
    }

    pub(super) fn address(&self) -> Bus {
        Bus::At(self.address.clone())
    }
}

/// The desktop. Its parts end in the order in which they stand here.
pub(super) struct Desktop {
    screen: Screen,
    backend: zbus::Connection,
    state: Arc<State>,
    _parts: Vec<Program>,
    bus: PrivateBus,
}

#[derive(Default)]
struct State {
    questions: AtomicU32,
    session: std::sync::Mutex<Option<String>>,
}

impl Desktop {
    pub(super) fn start(answer: Answer) -> Self {
        let bus = PrivateBus::start();
        let dir = bus.dir.path().to_owned();
        let runtime = dir.join("run");
        std::fs::DirBuilder::new().mode(0o700).create(&runtime).unwrap();
        let part = |program: &Path| {
            let mut command = Command::new(program);
            set(&mut command, &dir, &bus.address);
            Program::start(command)
        };
        let pipewire = part(Path::new("pipewire"));
        let remote = wait_for("PipeWire", || UnixStream::connect(runtime.join("pipewire-0")).ok());
        let session = part(Path::new("wireplumber"));
        let screen = Screen::start(OwnedFd::from(remote));
        let state = Arc::new(State::default());
        let service = Backend { node: screen.node(), answer, state: Arc::clone(&state), is_known: false };
        let backend = zbus::connection::Builder::address(bus.address.as_str())
            .and_then(|builder| builder.name(BACKEND))
            .and_then(|builder| builder.serve_at("/org/freedesktop/portal/desktop", service))
            .unwrap();
        let backend = zbus::block_on(backend.build()).unwrap();
        let portals = dir.join("portals");
        std::fs::create_dir(&portals).unwrap();
        let text = format!(
            "[portal]\nDBusName={BACKEND}\nInterfaces=org.freedesktop.impl.portal.ScreenCast\nUseIn=lab\n"
        );
        std::fs::write(portals.join("lab.portal"), text).unwrap();
        let libexec = Path::new("/usr/libexec");
        let permissions = part(&libexec.join("xdg-permission-store"));
        let owns = |name: &str| wait_for(name, || has_owner(&backend, name).then_some(()));
        owns("org.freedesktop.impl.portal.PermissionStore");
        let portal = part(&libexec.join("xdg-desktop-portal"));
        owns("org.freedesktop.portal.Desktop");
        Self { screen, backend, state, _parts: vec![portal, permissions, session, pipewire], bus }
    }

    pub(super) fn bus(&self) -> Bus {
        self.bus.address()
    }

    /// What the stream shows.
    pub(super) fn screen(&self) -> &Screen {
        &self.screen
    }

    /// How often the user was asked.
    pub(super) fn questions(&self) -> u32 {
        self.state.questions.load(Ordering::Relaxed)
    }

    /// The user presses "stop sharing".
    pub(super) fn stop_sharing(&self) {
        let session = self.state.session.lock().unwrap().clone().unwrap();
        let none = None::<zbus::names::BusName<'_>>;
        let name = "org.freedesktop.impl.portal.Session";
        zbus::block_on(self.backend.emit_signal(none, session, name, "Closed", &())).unwrap();
    }

    /// What a program needs to be on this desktop.
    pub(super) fn set_variables(&self, command: &mut Command) {
        set(command, self.bus.dir.path(), &self.bus.address);
    }
}

fn set(command: &mut Command, dir: &Path, bus: &str) {
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command.env("HOME", dir).env("XDG_RUNTIME_DIR", dir.join("run"));
    for (name, folder) in
        [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("XDG_STATE_HOME", "state")]
    {
        command.env(name, dir.join(folder));
    }
    command.env("XDG_CURRENT_DESKTOP", "lab").env("XDG_SESSION_TYPE", "wayland");
    command.env("XDG_DESKTOP_PORTAL_DIR", dir.join("portals")).env("DBUS_SESSION_BUS_ADDRESS", bus);
}

fn has_owner(connection: &zbus::Connection, name: &str) -> bool {
    zbus::block_on(async {
        let bus = zbus::fdo::DBusProxy::new(connection).await.unwrap();
        bus.name_has_owner(name.try_into().unwrap()).await.unwrap()
    })
}

/// The part of a portal that a desktop brings.
struct Backend {
    node: u32,
    answer: Answer,
    state: Arc<State>,
    /// Whether the answer of an earlier time was handed in.
    is_known: bool,
}

/// A session, which can be closed.
struct Session;

type Results = HashMap<String, OwnedValue>;

#[zbus::interface(name = "org.freedesktop.impl.portal.ScreenCast")]
impl Backend {
    async fn create_session(
        &mut self,
        _handle: ObjectPath<'_>,
        session: ObjectPath<'_>,
        _app: &str,
        _options: HashMap<String, OwnedValue>,
        #[zbus(object_server)] server: &zbus::ObjectServer,
    ) -> (u32, Results) {
        *self.state.session.lock().unwrap() = Some(session.to_string());
        server.at(session, Session).await.unwrap();
        (0, Results::new())
    }

    fn select_sources(
        &mut self,
        _handle: ObjectPath<'_>,
        _session: ObjectPath<'_>,
        _app: &str,
        options: HashMap<String, OwnedValue>,
    ) -> (u32, Results) {
        self.is_known = options.contains_key("restore_data");
        (0, Results::new())
    }

    fn start(
        &mut self,
        _handle: ObjectPath<'_>,
        _session: ObjectPath<'_>,
        _app: &str,
        _window: &str,
        _options: HashMap<String, OwnedValue>,
    ) -> (u32, Results) {
        if !self.is_known {
            self.state.questions.fetch_add(1, Ordering::Relaxed);
        }
        if self.answer == Answer::Refuses {
            return (1, Results::new());
        }
        let about =
            HashMap::from([("source_type", Value::from(1_u32)), ("size", Value::from((640_i32, 480_i32)))]);
        let own = |value: Value<'_>| value.try_to_owned().unwrap();
        let results = [
            ("streams", own(Value::from(vec![(self.node, about)]))),
            ("persist_mode", own(Value::from(2_u32))),
            ("restore_data", own(Value::from(("lab", 1_u32, Value::from("the screen"))))),
        ];
        (0, results.map(|(name, value)| (name.to_owned(), value)).into())
    }

    #[zbus(property)]
    fn available_source_types(&self) -> u32 {
        1 | 2
    }

    #[zbus(property)]
    fn available_cursor_modes(&self) -> u32 {
        1 | 2
    }

    #[zbus(property, name = "version")]
    fn version(&self) -> u32 {
        4
    }
}

#[zbus::interface(name = "org.freedesktop.impl.portal.Session")]
impl Session {
    fn close(&self) {}

    #[zbus(property, name = "version")]
    fn version(&self) -> u32 {
        1
    }
}

const BACKEND: &str = "org.freedesktop.impl.portal.desktop.lab";

//! Network namespaces, made with iproute2.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network of its own with a loopback interface; removed when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes it; `name` is one of `ip netns list`.
    ///
    /// # Errors
    /// If there is one of this name, or it is not allowed.
    pub fn create(name: &str) -> io::Result<Self> {
        ip(["netns", "add", name])?;
        let namespace = Self { name: name.to_owned() };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs iproute2's `ip` on it, with the words of `arguments`.
    ///
    /// # Errors
    /// What `ip` says against it.
    pub fn ip(&self, arguments: &str) -> io::Result<()> {
        ip(["-n", &self.name].into_iter().chain(arguments.split(' ')))
    }

    /// A command that runs in it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(["netns", "del", &self.name]) {
            eprintln!("the namespace {} stays behind: {error}", self.name);
        }
    }
}

/// Does `work` inside the namespace, on a thread of its own. Sockets and devices opened there stay there.
///
/// # Errors
/// If there is no such namespace or it may not be entered.
pub fn within<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let file = File::open(path(namespace))?;
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        });
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What stands against emulating a link on this machine: no root, no TUN device, no right to make namespaces.
pub fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root".to_owned());
    }
    if let Err(error) = File::options().read(true).write(true).open("/dev/net/tun") {
        return Some(format!("/dev/net/tun: {error}"));
    }
    let name = format!("fwprobe{}", std::process::id());
    Namespace::create(&name).err().map(|error| format!("no network namespace can be made: {error}"))
}

/// Runs iproute2's `ip`.
pub(super) fn ip<'a>(arguments: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    let arguments: Vec<&str> = arguments.into_iter().collect();
    let output = Command::new("ip").args(&arguments).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {}: {}", arguments.join(" "), said.trim())))
}

fn path(namespace: &str) -> PathBuf {
    Path::new("/run/netns").join(namespace)
}

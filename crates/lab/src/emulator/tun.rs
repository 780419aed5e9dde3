//! TUN devices: packets of a namespace as reads and writes of a file.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{Opcode, Updater, ioctl};

use super::namespace::{ip, within};

/// The far side of a TUN device.
#[derive(Debug)]
pub(super) struct Tun {
    file: File,
}

/// `struct ifreq` of linux/if.h as `TUNSETIFF` reads it.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

impl Tun {
    /// Makes a device in a namespace, with an address such as `10.0.0.1/30` and, if `is_default`, the default route.
    pub(super) fn create(namespace: &str, device: &str, address: &str, is_default: bool) -> io::Result<Self> {
        let file = within(namespace, || open(device))??;
        // What the kernel would send by itself over IPv6 is no part of a measurement.
        ip(["-n", namespace, "link", "set", "dev", device, "addrgenmode", "none"])?;
        ip(["-n", namespace, "addr", "add", address, "dev", device])?;
        ip(["-n", namespace, "link", "set", "dev", device, "up"])?;
        if is_default {
            ip(["-n", namespace, "route", "add", "default", "dev", device])?;
        }
        Ok(Self { file })
    }

    /// The next packet that the namespace sent, if there is one.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.file.read(buffer) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands a packet to the namespace.
    pub(super) fn write(&mut self, packet: &[u8]) -> io::Result<()> {
        self.file.write_all(packet)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open(device: &str) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open("/dev/net/tun", flags, Mode::empty())?;
    let mut request = Request { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    if device.len() >= request.name.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a device's name has at most 15 letters"));
    }
    request.name[..device.len()].copy_from_slice(device.as_bytes());
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, which is 40 bytes long, as `Request` is.
    unsafe { ioctl(&file, Updater::<TUNSETIFF, Request>::new(&mut request)) }?;
    Ok(file.into())
}

/// linux/if_tun.h: layer 3, without a header of its own.
const IFF_TUN: u16 = 0x0001;
const IFF_NO_PI: u16 = 0x1000;
/// `_IOW('T', 202, int)`, though the kernel takes a `struct ifreq`.
const TUNSETIFF: Opcode = rustix::ioctl::opcode::write::<i32>(b'T', 202);

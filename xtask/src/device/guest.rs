//! The machine full of devices: Debian's kernel under plain QEMU, with the host's own files below it.
//!
//! Its root is the host's, read-only over 9p, under an overlay in memory: so the programs just built run in it
//! unchanged, and nothing that they do there stays.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cpio::NewcBuilder;

use super::kernel::Kernel;

/// A machine that can be started.
pub(super) struct Guest {
    kernel: Kernel,
    initramfs: PathBuf,
    job: PathBuf,
    log: PathBuf,
}

/// What is loaded before the root file system is there.
const BOOT_MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];

/// What the kernel starts first. The job's folder is the only one that the guest can write to for good.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in /modules/*; do insmod $module || echo "cannot load $module"; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,ro,cache=loose host /host || echo "no host files"
mount -t tmpfs tmpfs /memory; mkdir -p /memory/upper /memory/work
mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work overlay /root || echo "no root"
for folder in proc sys dev; do mount --move /$folder /root/$folder; done
mkdir -p /root/dev/shm /root/dev/pts /root/farwheel-job
mount -t tmpfs tmpfs /root/dev/shm; mount -t devpts devpts /root/dev/pts; mount -t tmpfs tmpfs /root/run
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 job /root/farwheel-job
chroot /root /bin/sh /farwheel-job/run.sh
echo "device-test: end $?"
poweroff -f
"#;

impl Guest {
    /// Writes what it boots from into `folder`.
    ///
    /// # Errors
    /// If a module or busybox is missing, or `folder` can't be written.
    pub(super) fn prepare(kernel: Kernel, folder: &Path) -> Result<Self> {
        let job = folder.join("job");
        std::fs::create_dir_all(&job).with_context(|| format!("create {}", job.display()))?;
        let initramfs = folder.join("initramfs");
        write_initramfs(&kernel, &initramfs).context("write the guest's first file system")?;
        Ok(Self { kernel, initramfs, job, log: folder.join("console.log") })
    }

    /// Boots, runs `script` as root, and hands each line of its console on; ends when the guest does.
    ///
    /// # Errors
    /// If QEMU can't be started, or the guest is not done within `patience`.
    pub(super) fn run(&self, script: &str, patience: Duration, mut line: impl FnMut(&str)) -> Result<()> {
        std::fs::write(self.job.join("run.sh"), self.script(script)).context("write the guest's script")?;
        let mut log = File::create(&self.log).with_context(|| format!("create {}", self.log.display()))?;
        let mut machine = self.start()?;
        let out = machine.0.stdout.take().context("piped console")?;
        // Full: the reader waits, and with it the guest's console.
        let (send, lines) = mpsc::sync_channel(64);
        std::thread::spawn(move || {
            let mut console = BufReader::new(out);
            let mut bytes = Vec::new();
            while console.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                bytes.clear();
                if send.send(text).is_err() {
                    return;
                }
            }
        });
        let until = Instant::now() + patience;
        loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(text) => {
                    std::io::Write::write_all(&mut log, format!("{text}\n").as_bytes())?;
                    line(&text);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
                Err(mpsc::RecvTimeoutError::Timeout) => bail!(
                    "the guest was not done within {} s; its console is in {}",
                    patience.as_secs(),
                    self.log.display()
                ),
            }
        }
    }

    /// Where its console is kept.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    fn start(&self) -> Result<Machine> {
        let share = |path: &Path, tag: &str, rest: &str| {
            format!("local,path={},mount_tag={tag},multidevs=remap,{rest}", path.display())
        };
        let child = Command::new("qemu-system-x86_64")
            .args(["-m", "4096", "-smp", "2", "-cpu", "max", "-nodefaults", "-no-reboot"])
            .args(["-display", "none", "-serial", "stdio", "-monitor", "none"])
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(&self.initramfs)
            .args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off"])
            .args(["-virtfs", &share(Path::new("/"), "host", "security_model=passthrough,readonly=on")])
            .args(["-virtfs", &share(&self.job, "job", "security_model=none")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("start qemu-system-x86_64")?;
        Ok(Machine(child))
    }

    fn script(&self, script: &str) -> String {
        // modprobe looks below `lib/modules` of a folder; the host has the guest's modules elsewhere.
        let root = self.kernel.modules_root.display();
        format!("export FARWHEEL_MODULES='{root}' FARWHEEL_JOB=/farwheel-job\nip link set lo up\n{script}\n")
    }
}

/// A machine that runs; dropping it turns it off.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // Neither can fail in a way that matters: the process is ours and not yet reaped.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn write_initramfs(kernel: &Kernel, path: &Path) -> Result<()> {
    let mut entries: Vec<(NewcBuilder, Vec<u8>)> = Vec::new();
    for folder in ["bin", "proc", "sys", "dev", "host", "memory", "root", "modules"] {
        entries.push((NewcBuilder::new(folder).mode(0o040_755), Vec::new()));
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().map(Path::new).find(|path| path.is_file());
    let busybox = std::fs::read(busybox.context("there is no busybox")?).context("read busybox")?;
    entries.push((NewcBuilder::new("bin/busybox").mode(0o100_755), busybox));
    entries.push((NewcBuilder::new("init").mode(0o100_755), INIT.as_bytes().to_vec()));
    let mut loaded: Vec<String> = Vec::new();
    for name in BOOT_MODULES {
        for file in kernel.with_dependencies(name)? {
            if !loaded.contains(&file) {
                loaded.push(file);
            }
        }
    }
    ensure!(loaded.len() < 100, "{} modules to boot with", loaded.len());
    for (n, file) in loaded.iter().enumerate() {
        let bytes = std::fs::read(kernel.modules().join(file)).with_context(|| format!("read {file}"))?;
        let base = file.rsplit('/').next().unwrap_or(file);
        entries.push((NewcBuilder::new(&format!("modules/{n:02}-{base}")).mode(0o100_644), bytes));
    }
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let inputs =
        entries.into_iter().zip(1..).map(|((entry, bytes), ino)| (entry.ino(ino), Cursor::new(bytes)));
    cpio::write_cpio(inputs, file)?;
    Ok(())
}

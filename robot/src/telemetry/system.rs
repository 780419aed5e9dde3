//! What the machine under the robot says about itself.

use std::fs;
use std::path::Path;

/// One sample; a figure that this machine does not give is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Temperature of the processor, in tenths of a degree Celsius.
    pub temperature_dc: Option<i16>,
    /// Raspberry Pi throttling bits: under-voltage 1, capped 2, throttled 4, soft limit 8.
    pub throttled: u8,
    /// Busy share of all cores since the last sample, in permille.
    pub load_permille: Option<u16>,
    /// Resident memory of this process, in KiB.
    pub memory_kib: Option<u32>,
    /// Free space where the run folder is, in MiB.
    pub disk_mib: Option<u32>,
    /// Strength of the first wireless link, in dBm.
    pub radio_dbm: Option<i8>,
}

/// Takes samples; remembers what a difference needs.
#[derive(Debug, Default)]
pub struct Sampler {
    cpu: Option<Cpu>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cpu {
    busy: u64,
    all: u64,
}

impl Sampler {
    /// Reads everything; a few dozen microseconds.
    pub fn sample(&mut self, disk: &Path) -> Sample {
        let read = |path: &str| fs::read_to_string(path).ok();
        let cpu = read("/proc/stat").and_then(|text| cpu(&text));
        let load_permille = self.cpu.zip(cpu).and_then(|(before, after)| load(before, after));
        self.cpu = cpu;
        Sample {
            temperature_dc: read("/sys/class/thermal/thermal_zone0/temp").and_then(|text| temperature(&text)),
            throttled: read("/sys/devices/platform/soc/soc:firmware/get_throttled")
                .and_then(|text| u8::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok())
                .map_or(0, |bits| bits & 0xf),
            load_permille,
            memory_kib: read("/proc/self/status").and_then(|text| resident_kib(&text)),
            disk_mib: free_mib(disk),
            radio_dbm: read("/proc/net/wireless").and_then(|text| radio(&text)),
        }
    }
}

/// Free space for this user at `path`, in MiB.
pub fn free_mib(path: &Path) -> Option<u32> {
    let stat = rustix::fs::statvfs(path).ok()?;
    u32::try_from(stat.f_bavail.saturating_mul(stat.f_frsize) >> 20).ok()
}

/// `VmRSS` of a `/proc/PID/status`, in KiB.
pub fn resident_kib(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn cpu(stat: &str) -> Option<Cpu> {
    let mut times = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map(str::parse::<u64>);
    // user nice system idle iowait irq softirq steal; guest times are in user already.
    let mut next = || times.next()?.ok();
    let (user, nice, system, idle, iowait) = (next()?, next()?, next()?, next()?, next()?);
    let (irq, softirq, steal) = (next().unwrap_or(0), next().unwrap_or(0), next().unwrap_or(0));
    let busy = user + nice + system + irq + softirq + steal;
    Some(Cpu { busy, all: busy + idle + iowait })
}

fn load(before: Cpu, after: Cpu) -> Option<u16> {
    let (busy, all) = (after.busy.checked_sub(before.busy)?, after.all.checked_sub(before.all)?);
    (busy * 1000).checked_div(all).map(|permille| permille.min(1000) as u16)
}

fn temperature(millidegrees: &str) -> Option<i16> {
    let value: i32 = millidegrees.trim().parse().ok()?;
    i16::try_from(value / 100).ok()
}

/// Third column of the first interface of `/proc/net/wireless` after the status: level in dBm.
fn radio(wireless: &str) -> Option<i8> {
    let line = wireless.lines().nth(2)?;
    let level = line.split_whitespace().nth(3)?.trim_end_matches('.');
    level.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_texts_are_understood() {
        let before = cpu("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n").unwrap();
        let after = cpu("cpu  150 0 75 850 75 0 0 0 0 0\n").unwrap();
        assert_eq!(load(before, after), Some(500));
        assert_eq!(load(after, after), None);
        assert_eq!(load(after, before), None);
        assert_eq!(resident_kib("Name:\tx\nVmRSS:\t   51234 kB\n"), Some(51_234));
        assert_eq!(temperature("48312\n"), Some(483));
        let wireless = "Inter-| sta-|\n face | tus |\n wlan0: 0000   54.  -56.  -256        0\n";
        assert_eq!(radio(wireless), Some(-56));
    }

    #[test]
    fn other_texts_give_nothing() {
        assert_eq!(cpu("intr 1 2 3"), None);
        assert_eq!(cpu("cpu 1 2 x 4 5"), None);
        assert_eq!(resident_kib("VmRSS: many kB"), None);
        assert_eq!(temperature("hot"), None);
        assert_eq!(radio("Inter-| sta-|\n face | tus |\n"), None);
    }

    #[test]
    fn this_machine_gives_its_memory_and_load() {
        let mut sampler = Sampler::default();
        let dir = std::env::temp_dir();
        sampler.sample(&dir);
        let sample = sampler.sample(&dir);
        assert!(sample.memory_kib.is_some_and(|kib| kib > 500), "{sample:?}");
        assert!(sample.disk_mib.is_some(), "{sample:?}");
    }
}

//! `farwheel-robot devices`: what could be used here.

use anyhow::Result;
use farwheel_media::capture::usb;
use serde::Serialize;

use crate::cli::Report;

#[derive(Serialize)]
struct Devices {
    cameras: Vec<Camera>,
    outputs: Vec<Output>,
}

#[derive(Serialize)]
struct Camera {
    source: String,
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    formats: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Output {
    output: &'static str,
    name: &'static str,
}

/// Prints the list.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn run(report: Report) -> Result<()> {
    let devices = look();
    match report {
        Report::Json => println!("{}", serde_json::to_string(&devices)?),
        Report::Text => print!("{}", in_words(&devices)),
    }
    Ok(())
}

fn look() -> Devices {
    let builtin = |source: &str, name: &str| Camera {
        source: source.to_owned(),
        name: name.to_owned(),
        formats: Vec::new(),
        error: None,
    };
    let mut cameras = vec![
        builtin("sim", "the simulated car's view, any size"),
        builtin("test", "moving measuring picture, any size"),
        builtin("command:PROGRAM", "a program that writes y4m to its standard output"),
    ];
    match usb::devices() {
        Ok(found) => cameras.extend(found.into_iter().map(|device| {
            let (formats, error) = match device.formats {
                Ok(formats) => (formats, None),
                Err(error) => (Vec::new(), Some(error.to_string())),
            };
            Camera { source: format!("usb:{}", device.path.display()), name: device.name, formats, error }
        })),
        Err(error) => cameras.push(Camera { error: Some(error.to_string()), ..builtin("usb:", "webcams") }),
    }
    let outputs = vec![Output { output: "sim:", name: "the simulated car" }];
    Devices { cameras, outputs }
}

fn in_words(devices: &Devices) -> String {
    let mut text = String::from("cameras (--camera)\n");
    for camera in &devices.cameras {
        text += &format!("  {:<18} {}\n", camera.source, camera.name);
        for format in &camera.formats {
            text += &format!("  {:<18}   {format}\n", "");
        }
        if let Some(error) = &camera.error {
            text += &format!("  {:<18}   {error}\n", "");
        }
    }
    text += "outputs (--drive)\n";
    for output in &devices.outputs {
        text += &format!("  {:<18} {}\n", output.output, output.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_that_cannot_be_asked_is_listed_with_the_reason() {
        let camera = Camera {
            source: "usb:/dev/video0".to_owned(),
            name: "Cam".to_owned(),
            formats: Vec::new(),
            error: Some("/dev/video0 is used by another program".to_owned()),
        };
        let text = in_words(&Devices { cameras: vec![camera], outputs: Vec::new() });
        assert!(text.contains("usb:/dev/video0    Cam\n"), "{text}");
        assert!(text.contains("used by another program"), "{text}");
    }

    #[test]
    fn builtin_sources_are_always_there_and_can_be_used_as_written() {
        for source in look().cameras.iter().filter(|c| !c.source.contains("PROGRAM") && c.error.is_none()) {
            assert!(source.source.parse::<farwheel_media::capture::Spec>().is_ok(), "{}", source.source);
        }
    }
}

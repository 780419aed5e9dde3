//! Every way to say something wrong gets one clear sentence.

use std::path::Path;

use super::*;

fn check_file(content: &str, want: Result<(), &str>) {
    let mut layers = Layers::fallbacks("host");
    let got = layers
        .lay_file(Path::new("robot.toml"), content)
        .and_then(|()| Config::from_layers(&layers).map(drop));
    match (got, want) {
        (Ok(()), Ok(())) => {}
        (Ok(()), Err(want)) => panic!("accepted {content:?}, want error {want}"),
        (Err(error), Ok(())) => panic!("{content:?}: {error:#}"),
        (Err(error), Err(want)) => assert_eq!(format!("{error:#}"), want, "for {content:?}"),
    }
}

#[test]
fn fallbacks_alone_are_a_whole_configuration() {
    let config = Config::from_layers(&Layers::fallbacks("my.car.lan")).unwrap();
    assert_eq!(config.signaling.room.as_str(), "my");
    assert_eq!(config.name, "my");
    assert_eq!(config.camera.sources, [Spec::Sim]);
    assert_eq!(config.limits, Limits::STANDARD);
    assert_eq!((config.brake_pulse, config.sight), (None, Sight::Video));
}

#[test]
fn unknown_keys_are_refused_with_line_and_suggestion() {
    check_file(
        "\n[camera]\nsorce = \"sim\"\n",
        Err("robot.toml line 3: unknown key `sorce` in [camera]; did you mean `source`?"),
    );
    check_file("[camara]\n", Err("robot.toml line 1: unknown table [camara]; did you mean `camera`?"));
    check_file(
        "fps = 3\n",
        Err("robot.toml line 1: key `fps` stands outside its table; it belongs under [camera]"),
    );
    check_file(
        "[robot]\nfps = 3\n",
        Err("robot.toml line 2: no key `fps` in [robot]; it belongs under [camera]"),
    );
    check_file("[sim]\nqqq = 3\n", Err("robot.toml line 2: unknown key `qqq` in [sim]; known are seed"));
}

#[test]
fn broken_toml_names_its_line() {
    let mut layers = Layers::fallbacks("host");
    let error = layers.lay_file(Path::new("robot.toml"), "[camera]\nfps = \n").unwrap_err().to_string();
    assert!(error.starts_with("robot.toml line 2: "), "{error}");
    let error =
        layers.lay_file(Path::new("robot.toml"), "[camera]\nfps = 1\nfps = 2\n").unwrap_err().to_string();
    assert!(error.starts_with("robot.toml line 3: "), "{error}");
}

#[test]
fn values_of_the_wrong_kind_or_range_are_refused() {
    check_file(
        "[camera]\nfps = \"30\"\n",
        Err("robot.toml line 2: camera.fps wants a whole number, not a string"),
    );
    check_file("[camera]\nfps = 0\n", Err("robot.toml line 2: camera.fps: want 1 to 120, got 0"));
    check_file("[camera]\nfps = 121\n", Err("robot.toml line 2: camera.fps: want 1 to 120, got 121"));
    check_file("[camera]\nfps = 120\n", Ok(()));
    check_file(
        "[camera]\nsize = \"1281x720\"\n",
        Err("robot.toml line 2: camera.size: 1281x720 has an odd number; H.264 wants both even"),
    );
    check_file(
        "[camera]\nsize = \"big\"\n",
        Err("robot.toml line 2: camera.size: want WIDTHxHEIGHT such as 1280x720, got `big`"),
    );
    check_file(
        "[camera]\nsize = \"4000x720\"\n",
        Err("robot.toml line 2: camera.size: 4000x720 is outside 160x90 to 1920x1088"),
    );
    check_file(
        "[limits]\nforward = 1.01\n",
        Err("robot.toml line 2: limits.forward: want more than 0 to 1, got 1.01"),
    );
    check_file(
        "[limits]\nforward = nan\n",
        Err("robot.toml line 2: limits.forward: want a number, got `nan`"),
    );
    check_file("[limits]\nforward = 1\n", Ok(()));
    check_file(
        "[limits]\nreverse = 0\n",
        Err("robot.toml line 2: limits.reverse: want more than 0 to 1, got 0"),
    );
    check_file("[failsafe]\nbrake_pulse = 0\n", Ok(()));
    check_file(
        "[failsafe]\nbrake_pulse = -0.1\n",
        Err("robot.toml line 2: failsafe.brake_pulse: want 0 to 1, got -0.1"),
    );
    check_file(
        "[failsafe]\nsight = \"eyes\"\n",
        Err("robot.toml line 2: failsafe.sight: want video or line, got `eyes`"),
    );
    check_file(
        "[signaling]\nroom = \"a b\"\n",
        Err(
            "robot.toml line 2: signaling.room: room `a b`: a room name has 1 to 64 letters, digits, '_' or '-'",
        ),
    );
    check_file(
        "[network]\nbind = \"127.0.0.1, x\"\n",
        Err("robot.toml line 2: network.bind: `x` is no IP address: invalid IP address syntax"),
    );
    check_file(
        "camera = 3\n",
        Err("robot.toml line 1: `camera` is a table; write [camera] and its keys below"),
    );
}

#[test]
fn plain_websocket_leaves_the_machine_only_when_asked_for() {
    check_file("[signaling]\nserver = \"ws://localhost:1\"\n", Ok(()));
    check_file("[signaling]\nserver = \"ws://[::1]:1\"\n", Ok(()));
    check_file(
        "[signaling]\nserver = \"ws://example.org\"\n",
        Err(
            "robot.toml line 2: signaling.server: `ws://example.org` would go over the network without TLS; use wss://, or --insecure if you mean it",
        ),
    );
    check_file("[signaling]\nserver = \"ws://example.org\"\ninsecure = true\n", Ok(()));
    check_file(
        "[signaling]\nserver = \"http://example.org\"\n",
        Err(
            "robot.toml line 2: signaling.server: `http://example.org` starts with http://; want ws:// or wss://",
        ),
    );
}

#[test]
fn cameras_and_outputs_of_later_releases_say_so() {
    check_file(
        "[camera]\nsource = \"csi:0\"\n",
        Err(
            "robot.toml line 2: camera.source: camera `csi:0` is not supported by this release; sim, test, usb: and command: are",
        ),
    );
    check_file(
        "[drive]\noutput = \"pca9685:1:0x40:0\"\n",
        Err(
            "robot.toml line 2: drive.output: output `pca9685:1:0x40:0` is not supported by this release; sim: and sim:FILE are",
        ),
    );
}

#[test]
fn flags_win_over_environment_over_file_and_each_says_so() {
    let mut layers = Layers::fallbacks("host");
    layers
        .lay_file(
            Path::new("/etc/robot.toml"),
            "[camera]\nfps = 10\nsize = \"320x180\"\n[robot]\nname = \"a\"\n",
        )
        .unwrap();
    layers.lay_file(Path::new("own.toml"), "[robot]\nname = \"quote \\\" inside\"\n").unwrap();
    let env = [
        ("FARWHEEL_ROBOT_FPS", "20"),
        ("FARWHEEL_ROBOT_BITRATE", "900"),
        ("HOME", "/"),
        ("FARWHEEL_ROBOT_LOG", "debug"),
    ];
    layers.lay_environment(env.map(|(k, v)| (k.to_owned(), v.to_owned()))).unwrap();
    let bitrate = SETTINGS.iter().find(|s| s.flag == "bitrate").unwrap();
    layers.lay_flag(bitrate, "1200").unwrap();
    let config = Config::from_layers(&layers).unwrap();
    assert_eq!((config.camera.fps, config.camera.size.width, config.bitrate.as_kbps()), (20, 320, 1200));

    let printed = as_toml(&layers);
    for (want, why) in [
        ("fps = 20", "# environment FARWHEEL_ROBOT_FPS"),
        ("size = \"320x180\"", "# /etc/robot.toml line 3"),
        ("bitrate_kbps = 1200", "# flag --bitrate"),
        ("source = \"sim\"", "# default"),
        ("name = 'quote \" inside'", "# own.toml line 2"),
    ] {
        let line = printed
            .lines()
            .find(|l| l.starts_with(want))
            .unwrap_or_else(|| panic!("no {want} in\n{printed}"));
        assert!(line.ends_with(why), "{line}");
    }
}

#[test]
fn printed_configuration_reads_back_as_the_same() {
    let mut layers = Layers::fallbacks("host");
    layers
        .lay_file(
            Path::new("a"),
            "[limits]\nforward = 0.25\n[camera]\nsource = 'command:cat \"a b\"'\nothers = 'test usb:0'\n",
        )
        .unwrap();
    let printed = as_toml(&layers);
    let mut again = Layers::fallbacks("other");
    again.lay_file(Path::new("b"), &printed).unwrap();
    for setting in SETTINGS {
        assert_eq!(
            layers.get(setting.key).map(|v| v.0),
            again.get(setting.key).map(|v| v.0),
            "{}",
            setting.key
        );
    }
}

#[test]
fn token_is_never_printed() {
    let mut layers = Layers::fallbacks("host");
    layers
        .lay_file(Path::new("a"), "[signaling]\ntoken = \"hunter2\"\n[robot]\nowner_code = \"hunter2\"\n")
        .unwrap();
    let config = Config::from_layers(&layers).unwrap();
    assert_eq!(config.signaling.token.as_ref().unwrap().reveal(), "hunter2");
    for text in [as_toml(&layers), format!("{config:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn unknown_environment_variables_are_refused_with_a_suggestion() {
    let mut layers = Layers::fallbacks("host");
    let error = layers.lay_environment([("FARWHEEL_ROBOT_CAMRA".to_owned(), "x".to_owned())]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment: unknown variable FARWHEEL_ROBOT_CAMRA; did you mean `FARWHEEL_ROBOT_CAMERA`?"
    );
}

#[test]
fn example_file_says_what_the_fallbacks_say() {
    let mut layers = Layers::fallbacks("host");
    let example = include_str!("../../../assets/config/robot.toml");
    layers.lay_file(Path::new("assets/config/robot.toml"), example).unwrap();
    let fallbacks = Layers::fallbacks("host");
    for setting in SETTINGS {
        assert_eq!(
            layers.get(setting.key).map(|v| v.0),
            fallbacks.get(setting.key).map(|v| v.0),
            "{}",
            setting.key
        );
        let mentioned =
            example.lines().any(|l| l.trim_start_matches("# ").starts_with(&format!("{} =", setting.name())));
        assert!(mentioned, "{} is missing from the example", setting.key);
    }
}

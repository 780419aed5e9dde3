//! Writes the measuring picture's texture as raw I420 for peers that are not ours: `texture WIDTH HEIGHT FILE`.

use std::io::Write;

use farwheel_media::test_picture::TestPicture;
use farwheel_proto::video::Size;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [width, height, file] = args.as_slice() else {
        return Err("usage: texture WIDTH HEIGHT FILE".into());
    };
    let picture = TestPicture::new(Size::new(width.parse()?, height.parse()?));
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    for plane in picture.texture() {
        out.write_all(plane)?;
    }
    Ok(out.flush()?)
}

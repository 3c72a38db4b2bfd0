//! An SVG picture as a PNG file, without any font or program on the machine.
//!
//! The fonts are carried inside: DejaVu Sans, regular and bold, under their free licence. Every text in our pictures is set in
//! them, whatever family the SVG asks for, so that a picture looks the same on every machine.

use std::fmt;
use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, fontdb};

/// Pixels of the PNG for each unit of the SVG: sharp on a dense screen, and still a small file.
const SCALE: f32 = 2.0;

/// The longest side of a PNG in pixels: 16,384 squared are a gigabyte of memory while it is drawn.
const SIDE_MAX: u32 = 16_384;

/// Why an SVG could not be made into a PNG.
#[derive(Debug)]
pub enum PngError {
    /// The text is no SVG; the reason follows.
    Svg(String),
    /// The picture has this many pixels in width and height: none, or too many.
    Size(u32, u32),
    /// The PNG could not be written; the reason follows.
    Encode(String),
}

impl fmt::Display for PngError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PngError::Svg(reason) => write!(out, "the SVG can't be read: {reason}"),
            PngError::Size(width, height) => write!(
                out,
                "a PNG of {width} by {height} pixels can't be drawn (at most {SIDE_MAX} a side): draw an SVG instead"
            ),
            PngError::Encode(reason) => write!(out, "the PNG can't be written: {reason}"),
        }
    }
}

impl std::error::Error for PngError {}

/// Draws an SVG into a PNG, two pixels for each unit of the SVG.
///
/// # Errors
/// If the text is no SVG, or the picture is empty or larger than 16,384 pixels a side.
pub fn png(svg: &str) -> Result<Vec<u8>, PngError> {
    let mut options = usvg::Options { font_family: "DejaVu Sans".to_owned(), ..usvg::Options::default() };
    options.fontdb = fonts();
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| PngError::Svg(error.to_string()))?;
    let size = tree.size().to_int_size();
    let scaled = size.scale_by(SCALE).unwrap_or(size);
    let (width, height) = (scaled.width(), scaled.height());
    if width > SIDE_MAX || height > SIDE_MAX {
        return Err(PngError::Size(width, height));
    }
    let mut pixels = Pixmap::new(width, height).ok_or(PngError::Size(width, height))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    encode(pixels, width, height).map_err(|error| PngError::Encode(error.to_string()))
}

/// Packs pixels as small as it goes: pictures are kept in repositories and mailed.
fn encode(pixels: Pixmap, width: u32, height: u32) -> Result<Vec<u8>, ::png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut file, width, height);
    encoder.set_color(::png::ColorType::Rgba);
    encoder.set_depth(::png::BitDepth::Eight);
    encoder.set_compression(::png::Compression::High);
    encoder.set_filter(::png::Filter::NoFilter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels.take_demultiplied())?;
    writer.finish()?;
    Ok(file)
}

/// The fonts carried inside, read once; every generic family means one of them.
fn fonts() -> Arc<fontdb::Database> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    let made = FONTS.get_or_init(|| {
        let mut database = fontdb::Database::new();
        database.load_font_data(dejavu::sans::regular().to_vec());
        database.load_font_data(dejavu::sans::bold().to_vec());
        database.set_sans_serif_family("DejaVu Sans");
        database.set_serif_family("DejaVu Sans");
        database.set_monospace_family("DejaVu Sans");
        Arc::new(database)
    });
    Arc::clone(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(inside: &str) -> String {
        format!(r#"<svg xmlns="http://www.w3.org/2000/svg" width="80" height="30">{inside}</svg>"#)
    }

    #[test]
    fn a_picture_has_the_right_size_and_starts_as_a_png() {
        let bytes = png(&picture("")).expect("an empty picture is a picture");
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
        let side = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        assert_eq!((side(16), side(20)), (160, 60));
    }

    #[test]
    fn text_is_drawn_with_the_font_that_is_carried() {
        let blank = png(&picture("")).expect("drawn");
        for family in ["sans-serif", "monospace", "Some Font Nobody Has"] {
            for weight in ["400", "700"] {
                let text = format!(
                    r#"<text x="5" y="20" font-family="{family}" font-weight="{weight}">heap →</text>"#
                );
                assert_ne!(png(&picture(&text)).expect("drawn"), blank, "{family} {weight} left no trace");
            }
        }
    }

    #[test]
    fn what_is_no_svg_and_what_is_too_large_is_refused_in_words() {
        let error = png("<svg").expect_err("no SVG");
        assert!(error.to_string().starts_with("the SVG can't be read: "), "{error}");
        let huge = picture("").replace("width=\"80\"", "width=\"80000\"");
        let error = png(&huge).expect_err("too large");
        assert!(error.to_string().contains("160000 by 60"), "{error}");
    }
}

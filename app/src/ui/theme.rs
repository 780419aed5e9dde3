//! Colours, type and spacing of the window: one accent, a grid of 8, five sizes of text.

use std::sync::Arc;

use eframe::egui::{
    self, Color32, Context, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, RichText,
    Shadow, Stroke, TextStyle, Ui, Visuals, vec2,
};
use lucide_icons::Icon;

use crate::model::Level;

/// Half a step of the grid, in points.
pub const HALF: f32 = 4.0;
/// A step of the grid, in points.
pub const STEP: f32 = 8.0;
/// Distance of plates from the window's edge and of cards from each other.
pub const GAP: f32 = 16.0;
/// Height of buttons and fields.
pub const CONTROL: f32 = 36.0;

/// Sizes of text, in points.
pub mod size {
    /// Labels of figures.
    pub const CAPTION: f32 = 11.0;
    /// Everything else.
    pub const BODY: f32 = 13.0;
    /// Headings of cards, important values.
    pub const LEAD: f32 = 15.0;
    /// Titles of pages.
    pub const TITLE: f32 = 22.0;
    /// The figure that counts most on a plate.
    pub const FIGURE: f32 = 32.0;
    /// Speed.
    pub const DISPLAY: f32 = 52.0;
}

/// Weight of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Running text.
    Regular,
    /// Labels and buttons.
    Medium,
    /// Headings and figures.
    Bold,
}

/// Font of a size and weight.
pub fn font(size: f32, weight: Weight) -> FontId {
    let family = match weight {
        Weight::Regular => FontFamily::Proportional,
        Weight::Medium => FontFamily::Name("medium".into()),
        Weight::Bold => FontFamily::Name("semibold".into()),
    };
    FontId::new(size, family)
}

/// Font of the icons.
pub fn icon_font(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("icons".into()))
}

/// Text of a size, weight and colour.
pub fn text(words: impl Into<String>, size: f32, weight: Weight, colour: Color32) -> RichText {
    RichText::new(words).font(font(size, weight)).color(colour)
}

/// An icon as text.
pub fn icon(icon: Icon, size: f32, colour: Color32) -> RichText {
    RichText::new(char::from(icon).to_string()).font(icon_font(size)).color(colour)
}

/// The colours of a theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// Behind everything.
    pub back: Color32,
    /// Cards and the side bar.
    pub surface: Color32,
    /// Buttons, fields, tracks.
    pub raised: Color32,
    /// A raised thing under the pointer.
    pub hover: Color32,
    /// Lines between things.
    pub line: Color32,
    /// Text.
    pub text: Color32,
    /// Labels.
    pub soft: Color32,
    /// Units, hints, disabled things.
    pub faint: Color32,
    /// The one accent.
    pub accent: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// As it should be.
    pub good: Color32,
    /// Look at it.
    pub warning: Color32,
    /// Act on it.
    pub bad: Color32,
    /// Fill of the STOP button and of an alarm.
    pub alarm: Color32,
    /// Plates over the video, translucent.
    pub plate: Color32,
    /// Edge of such plates.
    pub plate_line: Color32,
}

/// Dark: the default.
pub const DARK: Palette = Palette {
    back: Color32::from_rgb(11, 13, 16),
    surface: Color32::from_rgb(19, 22, 27),
    raised: Color32::from_rgb(31, 35, 42),
    hover: Color32::from_rgb(42, 47, 56),
    line: Color32::from_rgb(38, 43, 51),
    text: Color32::from_rgb(240, 243, 247),
    soft: Color32::from_rgb(166, 174, 186),
    faint: Color32::from_rgb(128, 137, 150),
    accent: Color32::from_rgb(86, 146, 255),
    on_accent: Color32::from_rgb(6, 16, 36),
    good: Color32::from_rgb(62, 207, 142),
    warning: Color32::from_rgb(255, 178, 36),
    bad: Color32::from_rgb(255, 99, 92),
    alarm: Color32::from_rgb(224, 49, 46),
    plate: Color32::from_rgba_premultiplied(9, 11, 13, 196),
    plate_line: Color32::from_rgba_premultiplied(24, 24, 24, 24),
};

/// Light.
pub const LIGHT: Palette = Palette {
    back: Color32::from_rgb(243, 245, 248),
    surface: Color32::from_rgb(255, 255, 255),
    raised: Color32::from_rgb(236, 239, 243),
    hover: Color32::from_rgb(224, 229, 236),
    line: Color32::from_rgb(221, 226, 233),
    text: Color32::from_rgb(16, 21, 29),
    soft: Color32::from_rgb(77, 87, 101),
    faint: Color32::from_rgb(96, 106, 120),
    accent: Color32::from_rgb(28, 98, 227),
    on_accent: Color32::WHITE,
    good: Color32::from_rgb(8, 124, 74),
    warning: Color32::from_rgb(154, 92, 0),
    bad: Color32::from_rgb(200, 36, 32),
    alarm: Color32::from_rgb(214, 40, 36),
    plate: Color32::from_rgba_premultiplied(222, 224, 227, 226),
    plate_line: Color32::from_rgba_premultiplied(30, 32, 36, 40),
};

impl Palette {
    /// The palette in force.
    pub fn of(ui: &Ui) -> Self {
        if ui.visuals().dark_mode { DARK } else { LIGHT }
    }

    /// Colour of a level; `neutral` is the text's.
    pub const fn level(&self, level: Level) -> Color32 {
        match level {
            Level::Neutral => self.text,
            Level::Good => self.good,
            Level::Warning => self.warning,
            Level::Bad => self.bad,
        }
    }
}

/// A colour with its opacity multiplied.
pub fn faded(colour: Color32, opacity: f32) -> Color32 {
    colour.gamma_multiply(opacity)
}

/// Installs fonts and both styles; once, at start.
pub fn install(ctx: &Context) {
    ctx.set_fonts(fonts());
    for (theme, palette) in [(egui::Theme::Dark, DARK), (egui::Theme::Light, LIGHT)] {
        ctx.style_mut_of(theme, |style| {
            style.visuals = visuals(theme, &palette);
            style.spacing.item_spacing = vec2(STEP, STEP);
            style.spacing.button_padding = vec2(14.0, 8.0);
            style.spacing.interact_size = vec2(40.0, CONTROL);
            style.spacing.slider_width = 200.0;
            style.spacing.slider_rail_height = 4.0;
            style.spacing.icon_width = 18.0;
            style.spacing.menu_margin = Margin::same(6);
            style.spacing.tooltip_width = 320.0;
            style.interaction.selectable_labels = false;
            style.interaction.tooltip_delay = 0.4;
            style.animation_time = 0.12;
            style.text_styles = [
                (TextStyle::Small, font(size::CAPTION, Weight::Regular)),
                (TextStyle::Body, font(size::BODY, Weight::Regular)),
                (TextStyle::Button, font(size::BODY, Weight::Medium)),
                (TextStyle::Heading, font(size::TITLE, Weight::Bold)),
                (TextStyle::Monospace, font(size::BODY, Weight::Regular)),
            ]
            .into();
        });
    }
}

fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let fallback = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let files: [(&str, &'static [u8]); 4] = [
        ("inter", include_bytes!("../../../assets/fonts/Inter-Regular.otf")),
        ("inter-medium", include_bytes!("../../../assets/fonts/Inter-Medium.otf")),
        ("inter-semibold", include_bytes!("../../../assets/fonts/Inter-SemiBold.otf")),
        ("lucide", lucide_icons::LUCIDE_FONT_BYTES),
    ];
    for (name, bytes) in files {
        fonts.font_data.insert(name.into(), Arc::new(FontData::from_static(bytes)));
    }
    let families = [
        (FontFamily::Proportional, "inter"),
        (FontFamily::Monospace, "inter"),
        (FontFamily::Name("medium".into()), "inter-medium"),
        (FontFamily::Name("semibold".into()), "inter-semibold"),
        (FontFamily::Name("icons".into()), "lucide"),
    ];
    for (family, name) in families {
        let mut chain = vec![name.to_owned()];
        chain.extend(fallback.iter().cloned());
        fonts.families.insert(family, chain);
    }
    fonts
}

fn visuals(theme: egui::Theme, p: &Palette) -> Visuals {
    let mut v = match theme {
        egui::Theme::Dark => Visuals::dark(),
        egui::Theme::Light => Visuals::light(),
    };
    let round = CornerRadius::same(8);
    v.panel_fill = p.back;
    v.window_fill = p.surface;
    v.window_stroke = Stroke::new(1.0, p.line);
    v.window_corner_radius = CornerRadius::same(12);
    v.menu_corner_radius = CornerRadius::same(10);
    v.extreme_bg_color = p.back;
    v.text_edit_bg_color = Some(p.back);
    v.faint_bg_color = p.raised;
    v.code_bg_color = p.raised;
    v.warn_fg_color = p.warning;
    v.error_fg_color = p.bad;
    v.hyperlink_color = p.accent;
    v.selection.bg_fill = p.accent.gamma_multiply(0.35);
    v.selection.stroke = Stroke::new(1.5, p.accent);
    v.popup_shadow = Shadow { offset: [0, 8], blur: 24, spread: 0, color: Color32::from_black_alpha(70) };
    v.window_shadow = v.popup_shadow;
    v.widgets.noninteractive.bg_fill = p.surface;
    v.widgets.noninteractive.weak_bg_fill = p.surface;
    v.widgets.noninteractive.bg_stroke = Stroke::new(1.0, p.line);
    v.widgets.noninteractive.fg_stroke = Stroke::new(1.0, p.text);
    for (widget, fill, stroke) in [
        (&mut v.widgets.inactive, p.raised, Stroke::new(1.0, p.line)),
        (&mut v.widgets.hovered, p.hover, Stroke::new(1.0, p.faint)),
        (&mut v.widgets.active, p.hover, Stroke::new(1.5, p.accent)),
        (&mut v.widgets.open, p.hover, Stroke::new(1.0, p.line)),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = stroke;
        widget.fg_stroke = Stroke::new(1.5, p.text);
        widget.corner_radius = round;
        widget.expansion = 0.0;
    }
    v.widgets.noninteractive.corner_radius = round;
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.2, relative luminance.
    fn luminance(colour: Color32) -> f32 {
        let linear = |c: u8| {
            let c = f32::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
    }

    fn contrast(a: Color32, b: Color32) -> f32 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_text_colour_is_readable_on_every_ground() {
        for (name, p) in [("dark", DARK), ("light", LIGHT)] {
            for (ground, behind) in [("back", p.back), ("surface", p.surface)] {
                for (what, colour) in [
                    ("text", p.text),
                    ("soft", p.soft),
                    ("faint", p.faint),
                    ("accent", p.accent),
                    ("good", p.good),
                    ("warning", p.warning),
                    ("bad", p.bad),
                ] {
                    let ratio = contrast(colour, behind);
                    assert!(ratio >= 4.5, "{name}: {what} on {ground} has contrast {ratio:.2}, want 4.5");
                }
            }
            assert!(contrast(p.on_accent, p.accent) >= 4.5, "{name}: text on the accent");
            assert!(contrast(Color32::WHITE, p.alarm) >= 4.5, "{name}: text on the alarm");
        }
    }
}

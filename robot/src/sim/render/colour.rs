//! The palette and what light and haze do to it.

/// A colour in limited-range BT.601.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour {
    pub(super) y: f32,
    pub(super) u: f32,
    pub(super) v: f32,
}

/// Converts 0xRRGGBB (ITU-R BT.601-7 section 2.5).
pub(super) const fn rgb(hex: u32) -> Colour {
    let r = ((hex >> 16) & 255) as f32;
    let g = ((hex >> 8) & 255) as f32;
    let b = (hex & 255) as f32;
    Colour {
        y: 16.0 + (65.481 * r + 128.553 * g + 24.966 * b) / 255.0,
        u: 128.0 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255.0,
        v: 128.0 + (112.0 * r - 93.786 * g - 18.214 * b) / 255.0,
    }
}

impl Colour {
    /// `share` of `other`, the rest of this.
    pub(super) fn mix(self, other: Self, share: f32) -> Self {
        Self {
            y: self.y + (other.y - self.y) * share,
            u: self.u + (other.u - self.u) * share,
            v: self.v + (other.v - self.v) * share,
        }
    }

    /// Brighter or darker with the same hue.
    pub(super) fn lit(self, light: f32) -> Self {
        Self {
            y: (16.0 + (self.y - 16.0) * light).clamp(16.0, 235.0),
            u: (128.0 + (self.u - 128.0) * light).clamp(16.0, 240.0),
            v: (128.0 + (self.v - 128.0) * light).clamp(16.0, 240.0),
        }
    }
}

pub(super) const ZENITH: Colour = rgb(0x2F7FD0);
pub(super) const SKY: Colour = rgb(0x7DBBEB);
/// Where the sky meets the land, and what distance fades to.
pub(super) const HAZE: Colour = rgb(0xE4EDF0);
pub(super) const SUN: Colour = rgb(0xFFF6D8);
pub(super) const CLOUD: Colour = rgb(0xFFFFFF);
pub(super) const CLOUD_SHADE: Colour = rgb(0xD5E3F0);
pub(super) const MOUNTAIN: Colour = rgb(0x6F8FB4);
pub(super) const HILL: Colour = rgb(0x5E9A78);
pub(super) const WOOD: Colour = rgb(0x3F8256);
pub(super) const GRASS: Colour = rgb(0x6CAF3F);
pub(super) const VERGE: Colour = rgb(0x8A9A55);
pub(super) const ASPHALT: Colour = rgb(0x6E727A);
pub(super) const RUBBER: Colour = rgb(0x5A5E66);
pub(super) const PAINT: Colour = rgb(0xF2F2EC);
pub(super) const KERB_RED: Colour = rgb(0xD8352F);
pub(super) const INK: Colour = rgb(0x23272E);
pub(super) const TYRE: Colour = rgb(0x2A2D33);
pub(super) const TRUNK: Colour = rgb(0x7A5638);
pub(super) const FIR: Colour = rgb(0x2F7D4C);
pub(super) const LEAF: Colour = rgb(0x6DB23C);
pub(super) const LEAF_WARM: Colour = rgb(0xB9B03A);
pub(super) const CONE: Colour = rgb(0xFF6A13);
pub(super) const STEEL: Colour = rgb(0xAEB6BF);
pub(super) const BODY: Colour = rgb(0xF04E23);
/// Boards, flags and pavilions: one accent each of teal, amber and coral.
pub(super) const HOUSE: [Colour; 3] = [rgb(0x1798A6), rgb(0xF5B530), rgb(0xE8573F)];

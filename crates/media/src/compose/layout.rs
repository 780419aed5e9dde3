//! Who is shown where.

use farwheel_proto::video::Size;

/// How large a picture is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// As one of many.
    Grid,
    /// Beside the others: a shared screen. The last one of several.
    Large,
}

/// An area; all numbers are even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Rect {
    pub(super) const fn whole(self) -> (usize, usize, usize, usize) {
        (self.x as usize, self.y as usize, self.width as usize, self.height as usize)
    }
}

/// Between two tiles.
const GAP: u32 = 8;
/// Smaller tiles show nothing.
const SIDE_MIN: u32 = 16;

/// A tile for each, or none where there is no room.
pub(super) fn layout(size: Size, places: &[Place]) -> Vec<Option<Rect>> {
    let whole = Rect { x: 0, y: 0, width: size.width, height: size.height };
    let large = places.iter().rposition(|place| *place == Place::Large);
    let mut tiles = match large {
        None => grid(whole, places.len(), best_columns(whole, places.len())),
        Some(large) => {
            let others = places.len() - 1;
            // A column of tiles beside the screen; nobody beside it, no column.
            let side = if others == 0 { 0 } else { even(size.width / 5) };
            let mut tiles = grid(Rect { x: size.width - side, width: side, ..whole }, others, 1);
            tiles.insert(large, Some(Rect { width: size.width - side, ..whole }));
            tiles
        }
    };
    for tile in &mut tiles {
        *tile = tile.filter(|tile| tile.width >= SIDE_MIN && tile.height >= SIDE_MIN);
    }
    tiles
}

/// Tiles in rows; the last row, if it is not full, in the middle.
fn grid(area: Rect, count: usize, columns: usize) -> Vec<Option<Rect>> {
    let (count, columns) = (count as u32, columns.max(1) as u32);
    let rows = count.div_ceil(columns).max(1);
    let gaps = |n: u32| GAP * (n - 1);
    let width = even(area.width.saturating_sub(gaps(columns)) / columns);
    let height = even(area.height.saturating_sub(gaps(rows)) / rows);
    // One column of tiles is no higher than their shape asks for, so that they stand together.
    let height = if columns == 1 && rows > 1 { height.min(even(width * 9 / 16)) } else { height };
    let top = (area.height.saturating_sub(rows * height + gaps(rows))) / 2;
    (0..count)
        .map(|number| {
            let (row, column) = (number / columns, number % columns);
            let in_row = columns.min(count - row * columns);
            let left = (area.width.saturating_sub(in_row * width + gaps(in_row))) / 2;
            let x = even(area.x + left + column * (width + GAP));
            let y = even(area.y + top + row * (height + GAP));
            (x + width <= area.x + area.width && y + height <= area.y + area.height).then_some(Rect {
                x,
                y,
                width,
                height,
            })
        })
        .collect()
}

/// With so many columns pictures of 16:9 are largest.
fn best_columns(area: Rect, count: usize) -> usize {
    let width_of = |columns: usize| {
        let rows = count.div_ceil(columns).max(1);
        let (wide, high) = (area.width / columns as u32, area.height / rows as u32);
        wide.min(high * 16 / 9)
    };
    // The most of those that are alike: two stand side by side.
    (1..=count.max(1)).max_by_key(|columns| width_of(*columns)).unwrap_or(1)
}

const fn even(value: u32) -> u32 {
    value & !1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_grid_is_as_square_as_the_pictures_are_wide() {
        let area = Rect { x: 0, y: 0, width: 1280, height: 720 };
        for (count, columns) in [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (6, 3), (7, 3), (9, 3), (10, 4)] {
            assert_eq!(best_columns(area, count), columns, "{count}");
        }
    }

    proptest! {
        #[test]
        fn tiles_lie_inside_on_even_places_and_never_on_one_another(
            width in 1u32..1000, height in 1u32..600, large in prop::collection::vec(any::<bool>(), 0..14)
        ) {
            let size = Size::new(width * 2, height * 2);
            let places: Vec<_> = large.iter().map(|l| if *l { Place::Large } else { Place::Grid }).collect();
            let tiles = layout(size, &places);
            prop_assert_eq!(tiles.len(), places.len());
            let tiles: Vec<Rect> = tiles.into_iter().flatten().collect();
            for (index, a) in tiles.iter().enumerate() {
                prop_assert!(a.x + a.width <= size.width && a.y + a.height <= size.height, "{a:?}");
                prop_assert!([a.x, a.y, a.width, a.height].iter().all(|n| n % 2 == 0), "{a:?}");
                for b in &tiles[index + 1..] {
                    let apart = a.x + a.width <= b.x || b.x + b.width <= a.x
                        || a.y + a.height <= b.y || b.y + b.height <= a.y;
                    prop_assert!(apart, "{a:?} {b:?}");
                }
            }
        }

        #[test]
        fn in_a_picture_of_720p_up_to_twenty_have_room(count in 1usize..=20) {
            let tiles = layout(Size::new(1280, 720), &vec![Place::Grid; count]);
            prop_assert!(tiles.iter().all(Option::is_some));
        }
    }
}

//! Where the tiles go: pure geometry.

use eframe::egui::{Rect, Vec2, pos2, vec2};

/// Tiles of one size over all of `area`, rows centred; as large as they can be.
pub(super) fn grid(area: Rect, count: usize, gap: f32) -> Vec<Rect> {
    if count == 0 || area.width() <= 0.0 || area.height() <= 0.0 {
        return Vec::new();
    }
    let size_with = |columns: usize| {
        let rows = count.div_ceil(columns);
        let room = vec2(
            (area.width() - gap * (columns - 1) as f32) / columns as f32,
            (area.height() - gap * (rows - 1) as f32) / rows as f32,
        );
        shaped(room.max(Vec2::ZERO))
    };
    let (columns, size) = (1..=count)
        .map(|columns| (columns, size_with(columns)))
        .max_by(|(_, a), (_, b)| (a.x * a.y).total_cmp(&(b.x * b.y)))
        .expect("count is not zero");
    let rows = count.div_ceil(columns);
    let height = rows as f32 * (size.y + gap) - gap;
    let top = area.center().y - height / 2.0;
    (0..count)
        .map(|index| {
            let (row, column) = (index / columns, index % columns);
            let in_row = columns.min(count - row * columns);
            let width = in_row as f32 * (size.x + gap) - gap;
            let left = area.center().x - width / 2.0;
            let at = pos2(left + column as f32 * (size.x + gap), top + row as f32 * (size.y + gap));
            Rect::from_min_size(at, size)
        })
        .collect()
}

/// A tile in `room`: between 4:3 and 16:9, so that pictures of cameras lose little when they fill it.
fn shaped(room: Vec2) -> Vec2 {
    vec2(room.x.min(room.y * WIDEST), room.y.min(room.x / NARROWEST))
}

/// One large tile and a strip of small ones beside or above it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage {
    /// The large one.
    pub(super) main: Rect,
    /// The small ones.
    pub(super) strip: Vec<Rect>,
    /// There is no room for so many more; the place where that is told.
    pub(super) rest: Option<(Rect, usize)>,
}

/// Lays out `count` small tiles and a large one.
pub(super) fn stage(area: Rect, count: usize, gap: f32) -> Stage {
    if count == 0 {
        return Stage { main: area, strip: Vec::new(), rest: None };
    }
    let is_beside = area.width() > area.height() * 1.2;
    let (small, fits, main) = if is_beside {
        let width = (area.width() * 0.2).clamp(112.0, 240.0);
        let small = vec2(width, width / WIDEST);
        let fits = ((area.height() + gap) / (small.y + gap)).floor() as usize;
        (small, fits, Rect::from_min_max(area.min, pos2(area.right() - width - gap, area.bottom())))
    } else {
        let height = (area.height() * 0.18).clamp(63.0, 135.0);
        let small = vec2(height * WIDEST, height);
        let fits = ((area.width() + gap) / (small.x + gap)).floor() as usize;
        (small, fits, Rect::from_min_max(pos2(area.left(), area.top() + height + gap), area.max))
    };
    let fits = fits.max(1);
    // The last place tells how many are missing.
    let shown = if count <= fits { count } else { fits - 1 };
    let places = count.min(fits);
    let length = |each: f32| places as f32 * (each + gap) - gap;
    let cells: Vec<Rect> = (0..places)
        .map(|index| {
            let step = index as f32;
            let at = if is_beside {
                let top = area.center().y - length(small.y) / 2.0;
                pos2(area.right() - small.x, top + step * (small.y + gap))
            } else {
                let left = area.center().x - length(small.x) / 2.0;
                pos2(left + step * (small.x + gap), area.top())
            };
            Rect::from_min_size(at, small)
        })
        .collect();
    let rest = (shown < count).then(|| (cells[shown], count - shown));
    Stage { main, strip: cells[..shown].to_vec(), rest }
}

/// Places of these widths and one height in rows from the upper edge on, each row centred; what is too wide for `area`
/// is narrowed.
pub(super) fn flow(area: Rect, widths: &[f32], height: f32, gap: f32) -> Vec<Rect> {
    let mut places: Vec<Rect> = Vec::new();
    let (mut row, mut left, mut top) = (0, area.left(), area.top());
    for width in widths.iter().map(|width| width.min(area.width())) {
        if left > area.left() && left + width > area.right() {
            centre(&mut places[row..], area);
            (row, left, top) = (places.len(), area.left(), top + height + gap);
        }
        places.push(Rect::from_min_size(pos2(left, top), vec2(width, height)));
        left += width + gap;
    }
    centre(&mut places[row..], area);
    places
}

fn centre(row: &mut [Rect], area: Rect) {
    let Some(last) = row.last() else { return };
    let by = (area.right() - last.right()) / 2.0;
    for place in row {
        *place = place.translate(vec2(by, 0.0));
    }
}

/// A corner of the stage, where the own picture lies over the other one's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Corner {
    TopLeft,
    TopRight,
    BottomLeft,
    #[default]
    BottomRight,
}

impl Corner {
    const ALL: [Self; 4] = [Self::TopLeft, Self::TopRight, Self::BottomLeft, Self::BottomRight];

    /// The own picture in this corner.
    pub(super) fn place(self, area: Rect, gap: f32) -> Rect {
        let width = (area.width() * 0.22).clamp(120.0, 280.0);
        let size = vec2(width, width / WIDEST);
        let inner = area.shrink(gap);
        let at = match self {
            Self::TopLeft => inner.left_top(),
            Self::TopRight => inner.right_top() - vec2(size.x, 0.0),
            Self::BottomLeft => inner.left_bottom() - vec2(0.0, size.y),
            Self::BottomRight => inner.right_bottom() - size,
        };
        Rect::from_min_size(at, size)
    }

    /// The corner nearest to where the picture was let go.
    pub(super) fn nearest(area: Rect, gap: f32, dropped: Rect) -> Self {
        let distance = |corner: &Self| corner.place(area, gap).center().distance_sq(dropped.center());
        Self::ALL
            .into_iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .expect("there are four corners")
    }
}

/// Widest tile, width by height.
const WIDEST: f32 = 16.0 / 9.0;
/// Narrowest tile of the grid.
const NARROWEST: f32 = 4.0 / 3.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn area(width: f32, height: f32) -> Rect {
        Rect::from_min_size(pos2(10.0, 20.0), vec2(width, height))
    }

    fn assert_apart_and_inside(area: Rect, tiles: &[Rect]) {
        for (index, a) in tiles.iter().enumerate() {
            assert!(area.expand(0.01).contains_rect(*a), "{a} leaves {area}");
            for b in &tiles[index + 1..] {
                let over = a.intersect(*b);
                assert!(over.width() < 0.01 || over.height() < 0.01, "{a} over {b}");
            }
        }
    }

    #[test]
    fn grids_use_the_window_well_for_every_number_of_people_and_every_shape() {
        for (width, height) in [(1280.0, 700.0), (1888.0, 960.0), (608.0, 300.0), (400.0, 900.0)] {
            for count in 1..=16 {
                let area = area(width, height);
                let tiles = grid(area, count, 12.0);
                assert_eq!(tiles.len(), count);
                assert_apart_and_inside(area, &tiles);
                let used: f32 = tiles.iter().map(|tile| tile.area()).sum::<f32>() / area.area();
                // One below the other, 4:3 over the whole width: a narrow window has no more for few people.
                let most = count as f32 * width * width * 0.75 / area.area();
                assert!(used > 0.42_f32.min(0.95 * most), "{count} in {width}x{height} use {used:.2}");
                let ratio = tiles[0].width() / tiles[0].height();
                assert!((1.33..1.78).contains(&ratio), "{ratio}");
            }
        }
        assert_eq!(grid(area(0.0, 100.0), 3, 12.0), []);
    }

    #[test]
    fn four_people_sit_two_by_two_and_of_five_the_last_row_is_centred() {
        let four = grid(area(1280.0, 720.0), 4, 12.0);
        assert_eq!((four[0].top(), four[2].left()), (four[1].top(), four[0].left()));
        let five = grid(area(1280.0, 720.0), 5, 12.0);
        let last_row = (five[3].left() + five[4].right()) / 2.0;
        assert!((last_row - area(1280.0, 720.0).center().x).abs() < 0.01);
    }

    #[test]
    fn what_fits_stands_side_by_side_and_the_rest_below() {
        let area = area(600.0, 400.0);
        let places = flow(area, &[280.0, 300.0, 200.0, 900.0], 40.0, 8.0);
        assert_apart_and_inside(area, &places);
        let tops: Vec<f32> = places.iter().map(|place| place.top() - area.top()).collect();
        assert_eq!(tops, [0.0, 0.0, 48.0, 96.0]);
        assert_eq!(places[2].center().x, area.center().x);
        assert_eq!(places[0].left() - area.left(), area.right() - places[1].right());
        assert_eq!(places[3].width(), area.width());
        assert_eq!(flow(area, &[], 40.0, 8.0), []);
    }

    #[test]
    fn the_strip_shows_whom_it_can_and_tells_how_many_more_there_are() {
        for (width, height) in [(1280.0, 700.0), (608.0, 300.0), (400.0, 900.0), (300.0, 60.0)] {
            for count in 0..=12 {
                let area = area(width, height);
                let stage = stage(area, count, 12.0);
                let rest = stage.rest.map_or(0, |(_, count)| count);
                assert_eq!(stage.strip.len() + rest, count, "{width}x{height}");
                let mut all = stage.strip.clone();
                all.extend(stage.rest.map(|(rect, _)| rect));
                if height > 100.0 {
                    all.push(stage.main);
                    assert_apart_and_inside(area, &all);
                    assert!(stage.main.area() > area.area() * 0.6, "{:?}", stage.main);
                }
            }
        }
    }

    #[test]
    fn the_own_picture_goes_to_the_corner_where_it_is_dropped() {
        let area = area(1000.0, 600.0);
        for corner in Corner::ALL {
            let place = corner.place(area, 16.0);
            assert!(area.contains_rect(place));
            let near = place.translate((area.center() - place.center()) * 0.4);
            assert_eq!(Corner::nearest(area, 16.0, near), corner);
        }
    }
}

//! Words to read aloud.

/// 32 bits of a hash as four words, 8 bits each.
pub(super) fn in_words(hash: [u8; 32]) -> String {
    let [a, b, c, d, ..] = hash;
    [a, b, c, d].map(|byte| WORDS[usize::from(byte)]).join(" ")
}

/// Well-known things in alphabetic order; no two are closer than three changed letters, so none is misread as another.
#[rustfmt::skip]
const WORDS: [&str; 256] = [
    "acorn", "adult", "airport", "alarm", "almond", "alphabet", "amber", "anchor", "animal", "answer",
    "apple", "apron", "arch", "armor", "artist", "atlas", "autumn", "avenue", "backpack", "badge", "bakery",
    "ballet", "balloon", "banana", "banjo", "barrel", "beacon", "beard", "beaver", "bedroom", "bench",
    "bicycle", "biscuit", "blanket", "blossom", "bonfire", "border", "bottle", "brick", "broccoli",
    "bubble", "bucket", "buffalo", "butter", "cabin", "cactus", "calendar", "camel", "candle", "canyon",
    "captain", "cardinal", "carpet", "cellar", "cement", "cherry", "chimney", "cinnamon", "circle",
    "citrus", "climate", "clover", "cobweb", "coffee", "compass", "concert", "copper", "coral", "cotton",
    "cousin", "crater", "cricket", "crystal", "cushion", "daffodil", "daisy", "dancer", "debut", "degree",
    "desert", "diamond", "dinosaur", "doctor", "dolphin", "donkey", "doughnut", "dragon", "drummer",
    "eagle", "echo", "eclipse", "elbow", "elephant", "emerald", "engine", "envelope", "evening", "fabric",
    "falcon", "family", "feather", "festival", "fiddle", "finger", "firewood", "flamingo", "flute",
    "forest", "fossil", "fountain", "fridge", "galaxy", "garden", "garlic", "giraffe", "glacier", "goblin",
    "goldfish", "granite", "guitar", "harvest", "hedgehog", "helmet", "horizon", "hospital", "hotel",
    "hydrant", "iceberg", "igloo", "infant", "insect", "island", "ivory", "jaguar", "jelly", "jewelry",
    "jigsaw", "journey", "jungle", "kangaroo", "kayak", "ketchup", "keyboard", "kidney", "kitchen", "koala",
    "ladder", "ladybug", "lagoon", "lantern", "lavender", "lemon", "leopard", "library", "lizard",
    "lobster", "lyric", "magician", "magnet", "mammoth", "marble", "meadow", "melody", "meteor", "mirror",
    "mosaic", "muffin", "museum", "mushroom", "mustard", "napkin", "necklace", "needle", "nephew", "nickel",
    "nugget", "oasis", "ocean", "october", "octopus", "office", "olive", "onion", "orbit", "orchid",
    "oregano", "ostrich", "owner", "palace", "panther", "paper", "parrot", "peanut", "pelican", "pencil",
    "piano", "picnic", "pigeon", "pillow", "pirate", "plumber", "polar", "potato", "prairie", "pumpkin",
    "puzzle", "pyramid", "quartz", "quilt", "rabbit", "radish", "railway", "rainbow", "raven", "ribbon",
    "robot", "scarf", "school", "signal", "silver", "skyline", "slipper", "snowman", "spider", "spinach",
    "sponge", "stadium", "statue", "stream", "sugar", "summit", "swallow", "teapot", "temple", "theater",
    "thunder", "tornado", "tractor", "trumpet", "tulip", "tunnel", "turtle", "unicorn", "vacuum", "vanilla",
    "village", "violin", "volcano", "voyage", "waffle", "walnut", "weekend", "whisper", "window", "yogurt",
    "zebra",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters to be changed, added or left out to get from one to the other (Levenshtein).
    fn distance(a: &str, b: &str) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.bytes().enumerate() {
            let before = row.clone();
            row[0] = i + 1;
            for (j, y) in b.bytes().enumerate() {
                row[j + 1] = (before[j] + usize::from(x != y)).min(before[j + 1] + 1).min(row[j] + 1);
            }
        }
        row[b.len()]
    }

    #[test]
    fn no_two_words_are_alike() {
        for (index, a) in WORDS.iter().enumerate() {
            assert!(a.bytes().all(|c| c.is_ascii_lowercase()) && (4..=8).contains(&a.len()), "{a}");
            for b in &WORDS[index + 1..] {
                assert!(a < b && distance(a, b) > 2, "{a} and {b}");
            }
        }
    }

    #[test]
    fn each_of_the_first_four_bytes_gives_a_word() {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&[0, 1, 254, 255]);
        assert_eq!(in_words(hash), [WORDS[0], WORDS[1], WORDS[254], WORDS[255]].join(" "));
    }
}

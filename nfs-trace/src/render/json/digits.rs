//! Numbers as decimal digits, four or eight at a time.

/// The first number of nine digits.
pub(super) const LIMIT: u64 = 100_000_000;

/// The first number of five digits.
pub(super) const FOUR: u64 = 10_000;

/// Four digits of a number below [`FOUR`], see [`split`].
#[inline]
pub(super) fn split_four(number: u32) -> u32 {
    let hundreds = (number * 10_486) >> 20;
    let twos = hundreds | (number - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f;
    tens | (twos - 10 * tens) << 8
}

/// Those as text.
#[inline]
pub(super) fn text_of_four(split: u32) -> [u8; 4] {
    (split | 0x3030_3030).to_le_bytes()
}

/// Eight digits of a number below [`LIMIT`], from 0 to 9 each, the first one in the lowest byte.
#[inline]
pub(super) fn split(number: u64) -> u64 {
    // Side by side in one word: two numbers below 10,000, of them four below 100, of them eight
    // digits. 10,486 / 2^20 and 103 / 2^10 are near enough to 1 / 100 and 1 / 10 for these.
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - 10 * tens) << 8
}

/// Those as text.
#[inline]
pub(super) fn text(split: u64) -> [u8; 8] {
    (split | 0x3030_3030_3030_3030).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_library() {
        let mut rng = fastrand::Rng::with_seed(1);
        let edges = (0..8).flat_map(|zeroes| {
            let power = 10_u64.pow(zeroes);
            [power - 1, power, power * 10 - 1]
        });
        let low = 0..20_000;
        let high = (0..10_000).map(|four| four * 10_000 + 9_999 - four);
        let random = std::iter::repeat_with(|| rng.u64(..LIMIT)).take(100_000);
        for number in edges.chain(low).chain(high).chain(random) {
            let digits = text(split(number));
            assert_eq!(String::from_utf8_lossy(&digits), format!("{number:08}"));
        }
        for number in 0..FOUR {
            let digits = text_of_four(split_four(number as u32));
            assert_eq!(String::from_utf8_lossy(&digits), format!("{number:04}"));
        }
    }
}

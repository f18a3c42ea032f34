//! Orders kernel releases as people do: 6.1.0-9 before 6.1.0-56.

use std::cmp::Ordering;

/// Compares runs of digits as numbers, the rest as text.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (text_a, number_a, rest_a) = run(a);
        let (text_b, number_b, rest_b) = run(b);
        let order = text_a.cmp(text_b).then(number_a.cmp(&number_b));
        if order != Ordering::Equal || (rest_a.is_empty() && rest_b.is_empty()) {
            return order.then(rest_a.cmp(rest_b));
        }
        (a, b) = (rest_a, rest_b);
    }
}

fn run(text: &str) -> (&str, Option<u64>, &str) {
    let digits = text
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(digits);
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    (word, rest[..end].parse().ok(), &rest[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let sorted = [
            "6.1",
            "6.1.0-9-amd64",
            "6.1.0-56-amd64",
            "6.12.9+bpo",
            "6.12.117+deb12",
            // A release candidate has no third number yet.
            "7.2.13+deb14-amd64",
            "7.3-amd64",
            "7.3.4+deb14-amd64",
            "7.10-amd64",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
            assert_eq!(compare(pair[0], pair[0]), Ordering::Equal, "{pair:?}");
        }
    }
}

//! Numbers as people read them.

/// `1,204,881`
pub(crate) fn grouped(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        shown.push('-');
    }
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `412 B`, `2.1 MiB`
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut scaled = size as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 999.95 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if scaled < 9.95 {
        format!("{scaled:.1} {}", UNITS[unit])
    } else {
        format!("{scaled:.0} {}", UNITS[unit])
    }
}

/// `0.4 ms`, `37 ms`, `1.2 s`
pub(crate) fn latency(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{:.1} ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", micros / 1000),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}

/// `42s`, `3m07s`, `2h05m`, `4d03h`
pub(crate) fn seconds(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// `1 key`, `1,204 keys`
pub(crate) fn keys(count: u64) -> String {
    format!("{} key{}", grouped(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{bytes, grouped, keys, latency, seconds};

    #[test]
    fn figures_read_well() {
        assert_eq!(
            [0, 999, 1000, 1_204_881, -1000].map(|number: i64| grouped(number)),
            ["0", "999", "1,000", "1,204,881", "-1,000"]
        );
        assert_eq!(
            [0, 1023, 1024, 20_480, 1_048_576, 8 << 30].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "20 KiB", "1.0 MiB", "8.0 GiB"]
        );
        assert_eq!(
            [400, 9_900, 37_000, 1_200_000].map(latency),
            ["0.4 ms", "9.9 ms", "37 ms", "1.2 s"]
        );
        assert_eq!([5, 187, 7_500, 270_000].map(seconds), ["5s", "3m07s", "2h05m", "3d03h"]);
        assert_eq!([0, 1, 1204].map(keys), ["0 keys", "1 key", "1,204 keys"]);
    }
}

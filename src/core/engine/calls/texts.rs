//! Durations and dates as the reference's clients read them (`proto/rpc.md`, sections 4 and 5).

use crate::core::time::{Millis, UnixSeconds};

/// A duration: `12m34.975s`, `2h0m0.5s`, `250ms`.
pub(super) fn duration(ms: Millis) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let fraction = format!(".{:03}", ms % 1000);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let seconds = ms / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, minutes) => format!("{minutes}m{seconds}{fraction}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

/// A moment as RFC 3339 writes it, in UTC.
pub(super) fn date(time: UnixSeconds) -> String {
    let (days, second) = (time / 86_400, time % 86_400);
    // Years begin in March, so that the leap day ends one; an era has 400.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z",
        era * 400 + year + next,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_their_largest_units() {
        let cases = [
            (0, "0s"),
            (250, "250ms"),
            (3255, "3.255s"),
            (60_000, "1m0s"),
            (754_900, "12m34.9s"),
            (7_200_005, "2h0m0.005s"),
        ];
        for (ms, text) in cases {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn dates_know_leap_days() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_219_961, "2026-11-21T00:12:41Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (time, text) in cases {
            assert_eq!(date(time), text);
        }
        assert!(date(u64::MAX).ends_with('Z'));
    }
}

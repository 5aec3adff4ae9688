//! Numbers without quotes: whole, with a fraction, with a suffix of size or time. What is no number
//! is left to be a text, as are numbers that are too large.

use super::Value;

/// The number that `text` is, whole.
pub(super) fn number(text: &str) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let sign = if negative { -1 } else { 1 };
    if let Some(hex) = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        let plain = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = i64::from_str_radix(hex, 16).ok().filter(|_| plain)?;
        return Some(Value::Integer(value * sign));
    }
    let (mantissa, is_whole, suffix) = split(digits)?;
    if is_whole {
        let value: i64 = mantissa.parse().ok()?;
        let value = value * sign;
        return match suffix.to_ascii_lowercase().as_str() {
            "" => Some(Value::Integer(value)),
            "k" => scaled(value, 1_000),
            "m" => scaled(value, 1_000_000),
            "g" => scaled(value, 1_000_000_000),
            "kb" => scaled(value, 1 << 10),
            "mb" => scaled(value, 1 << 20),
            "gb" => scaled(value, 1 << 30),
            #[expect(
                clippy::cast_precision_loss,
                reason = "a time of so many seconds is none"
            )]
            time => seconds(time).map(|factor| Value::Float(value as f64 * factor)),
        };
    }
    let value: f64 = mantissa
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())?;
    let value = if negative { -value } else { value };
    let size = |factor: f64| Some(Value::Float(value * factor));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too large is held at the end"
    )]
    let bytes = |factor: i64| scaled(value as i64, factor);
    match suffix.to_ascii_lowercase().as_str() {
        "" => size(1.0),
        "k" => size(1e3),
        "m" => size(1e6),
        "g" => size(1e9),
        "kb" => bytes(1 << 10),
        "mb" => bytes(1 << 20),
        "gb" => bytes(1 << 30),
        time => seconds(time).and_then(size),
    }
}

fn scaled(value: i64, factor: i64) -> Option<Value> {
    value.checked_mul(factor).map(Value::Integer)
}

fn seconds(suffix: &str) -> Option<f64> {
    Some(match suffix {
        "ms" => 0.001,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        "y" => 31_536_000.0,
        _ => return None,
    })
}

/// The digits, whether they are a whole number, and what follows them.
fn split(text: &str) -> Option<(&str, bool, &str)> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut end = digits(0);
    if end == 0 {
        return None;
    }
    let mut is_whole = true;
    if bytes.get(end) == Some(&b'.') {
        is_whole = false;
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let from = end + 1 + sign;
        if digits(from) > from {
            is_whole = false;
            end = digits(from);
        }
    }
    Some((text.get(..end)?, is_whole, text.get(end..)?))
}

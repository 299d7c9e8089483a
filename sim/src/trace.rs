//! W3C trace context: the `traceparent` header.

/// The trace that a request belongs to, and the span that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceParent {
    pub(crate) trace: u128,
    pub(crate) span: u64,
}

impl TraceParent {
    /// Reads `00-<32 hex>-<16 hex>-<2 hex>`. All-zero ids are invalid, as the W3C recommendation says, and an invalid header is as good
    /// as none.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let parts: Vec<&str> = header.trim().split('-').collect();
        let ["00", trace, span, flags] = parts[..] else { return None };
        let (trace, span, _) = (hex(trace, 32)?, u64::try_from(hex(span, 16)?).ok()?, hex(flags, 2)?);
        (trace != 0 && span != 0).then_some(Self { trace, span })
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if plain { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn reads_a_header() {
        let parent = TraceParent::parse(GOOD).unwrap();
        assert_eq!(format!("{:032x}", parent.trace), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(format!("{:016x}", parent.span), "b7ad6b7169203331");
    }

    #[test]
    fn ignores_what_is_none() {
        let zero = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        let upper = GOOD.to_uppercase();
        let longer = format!("{GOOD}-x");
        let version = GOOD.replacen("00", "ff", 1);
        for header in ["", "00", &zero, &upper, &longer, &version, &GOOD[..54]] {
            assert_eq!(TraceParent::parse(header), None, "{header}");
        }
    }
}

//! How much a success rate says, given how few jobs it is made of.

use statrs::distribution::{Beta, ContinuousCDF};

/// How sure the interval is.
const CONFIDENCE: f64 = 0.95;

/// A success rate and the interval in which the true rate lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuccessRate {
    /// How many succeeded.
    pub succeeded: u64,
    /// Of how many that came to a good or bad end.
    pub of: u64,
    /// The lower end of the interval, from 0 to 1.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl SuccessRate {
    /// The rate of `succeeded` among `of`; none where there were none, or where that cannot be.
    ///
    /// The interval is that of Clopper and Pearson (Biometrika 26, 1934). Where all or none succeeded the one end is
    /// certain, and the whole 5 % are spent on the other.
    pub fn of(succeeded: u64, of: u64) -> Option<Self> {
        if of == 0 || succeeded > of {
            return None;
        }
        let failed = of - succeeded;
        let tail = if succeeded == 0 || failed == 0 { 1.0 - CONFIDENCE } else { (1.0 - CONFIDENCE) / 2.0 };
        let low = if succeeded == 0 { 0.0 } else { beta(succeeded, failed + 1)?.inverse_cdf(tail) };
        let high = if failed == 0 { 1.0 } else { beta(succeeded + 1, failed)?.inverse_cdf(1.0 - tail) };
        Some(Self { succeeded, of, low, high })
    }

    /// The share that succeeded, from 0 to 1.
    pub fn rate(self) -> f64 {
        self.succeeded as f64 / self.of as f64
    }

    /// In words: `12 of 12 jobs (100 %); with 95 % confidence that still allows up to 22 % failures`.
    pub fn text(self) -> String {
        let Self { succeeded, of, low, high } = self;
        let head = format!("{succeeded} of {of} jobs ({})", percent(self.rate()));
        if succeeded == of {
            format!("{head}; with 95 % confidence that still allows up to {} failures", percent(1.0 - low))
        } else if succeeded == 0 {
            format!("{head}; with 95 % confidence that still allows up to {} successes", percent(high))
        } else {
            format!("{head}; 95 % interval {} to {}", percent(low), percent(high))
        }
    }
}

/// A share with as many digits as it takes not to look like all, or like none, where it is neither.
fn percent(share: f64) -> String {
    let rounded = |decimals: i32| (share * 100.0 * 10_f64.powi(decimals)).round() / 10_f64.powi(decimals);
    let is_all_or_none = share <= 0.0 || share >= 1.0;
    let decimals = (0..6).find(|decimals| is_all_or_none || (rounded(*decimals) > 0.0 && rounded(*decimals) < 100.0));
    let decimals = decimals.unwrap_or(6);
    format!("{:.*} %", decimals.unsigned_abs() as usize, rounded(decimals))
}

fn beta(a: u64, b: u64) -> Option<Beta> {
    Beta::new(a as f64, b as f64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_of_twelve_still_allow_22_percent_failures() {
        let rate = SuccessRate::of(12, 12).unwrap();
        // Where all succeed the bound has a closed form: 0.05^(1/n).
        assert!((rate.low - 0.05_f64.powf(1.0 / 12.0)).abs() < 1e-6, "{rate:?}");
        assert_eq!(rate.text(), "12 of 12 jobs (100 %); with 95 % confidence that still allows up to 22 % failures");
        assert!((SuccessRate::of(0, 12).unwrap().high - (1.0 - 0.05_f64.powf(1.0 / 12.0))).abs() < 1e-6);
    }

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // 10 of 12: 0.5159 to 0.9791 in every table of the exact method.
        let rate = SuccessRate::of(10, 12).unwrap();
        assert!((rate.low - 0.5159).abs() < 1e-4 && (rate.high - 0.9791).abs() < 1e-4, "{rate:?}");
        assert_eq!(rate.text(), "10 of 12 jobs (83 %); 95 % interval 52 % to 98 %");
        let almost = SuccessRate::of(9989, 10_000).unwrap().text();
        assert_eq!(almost, "9989 of 10000 jobs (99.9 %); 95 % interval 99.8 % to 99.9 %");
        assert_eq!(SuccessRate::of(11, 12).unwrap().text(), "11 of 12 jobs (92 %); 95 % interval 62 % to 99.8 %");
        assert!(SuccessRate::of(0, 0).is_none() && SuccessRate::of(2, 1).is_none());
    }
}

//! The confidence interval of a success rate, which few jobs leave wide.

use statrs::distribution::{Beta, ContinuousCDF};

use super::jobs;

/// Confidence level of the interval.
const CONFIDENCE: f64 = 0.95;

/// The share of the requested jobs that succeeded, with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuccessRate {
    /// Number of jobs that succeeded.
    pub succeeded: u64,
    /// Number of jobs that were requested.
    pub of: u64,
    /// Number of jobs without a known end: each may have succeeded.
    pub open: u64,
    /// Lower end of the 95 % confidence interval of the true rate, from 0 to 1.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl SuccessRate {
    /// The rate of `succeeded` among `of`, of which `open` have no known end; none if there were none, or where that
    /// cannot be.
    ///
    /// The interval is that of Clopper and Pearson (Biometrika 26, 1934). Where all or none succeeded the one end is
    /// certain, and the whole 5 % are spent on the other. Jobs without a known end count as failed for its lower end and as
    /// succeeded for the upper one.
    pub fn compute(succeeded: u64, open: u64, of: u64) -> Option<Self> {
        let most = succeeded.checked_add(open).filter(|most| of > 0 && *most <= of)?;
        let tail = |succeeded: u64| match succeeded {
            sure if sure == 0 || sure == of => 1.0 - CONFIDENCE,
            _ => (1.0 - CONFIDENCE) / 2.0,
        };
        let low = match succeeded {
            0 => 0.0,
            some => beta(some, of - some + 1)?.inverse_cdf(tail(some)),
        };
        let high = match of - most {
            0 => 1.0,
            failed => beta(most + 1, failed)?.inverse_cdf(1.0 - tail(most)),
        };
        Some(Self { succeeded, of, open, low, high })
    }

    /// The share of the jobs asked for that are known to have succeeded, from 0 to 1: this run's rate is not less.
    pub fn rate(self) -> f64 {
        self.succeeded as f64 / self.of as f64
    }

    /// The share if all those without a known end succeeded: this run's rate is not more.
    pub fn most(self) -> f64 {
        (self.succeeded + self.open) as f64 / self.of as f64
    }

    /// In words: `12 of 12 jobs (100 %); with 95 % confidence that still allows up to 22 % failures`. Shares are told apart
    /// from each other and from those in `other`.
    pub fn text(self, other: &[f64]) -> String {
        let Self { succeeded, of, open, low, high } = self;
        let (rate, most) = (self.rate(), self.most());
        let shares = [&[rate, most, low, high], other].concat();
        let head = format!("{succeeded} of {} ({})", jobs(of), percent(rate, &shares));
        if open > 0 {
            let have = if open == 1 { "has" } else { "have" };
            let (rate, most) = (percent(rate, &shares), percent(most, &shares));
            format!("{head}; {open} {have} no known end, so the true value lies between {rate} and {most}")
        } else if succeeded == of {
            format!("{head}; with 95 % confidence that still allows up to {} failures", percent(1.0 - low, other))
        } else if succeeded == 0 {
            format!("{head}; with 95 % confidence that still allows up to {} successes", percent(high, other))
        } else {
            format!("{head}; 95 % interval {} to {}", percent(low, &shares), percent(high, &shares))
        }
    }
}

/// A share with as many digits as it takes to be seen apart from all, from none and from the `others`.
fn percent(share: f64, others: &[f64]) -> String {
    let rounded = |share: f64, decimals: usize| format!("{:.decimals$}", share * 100.0);
    let apart = |decimals: &usize| {
        let shown = rounded(share, *decimals);
        let others = others.iter().chain(&[0.0, 1.0]).filter(|other| (share - **other).abs() > 1e-9);
        others.into_iter().all(|other| rounded(*other, *decimals) != shown)
    };
    format!("{} %", rounded(share, (0..6).find(apart).unwrap_or(6)))
}

fn beta(a: u64, b: u64) -> Option<Beta> {
    Beta::new(a as f64, b as f64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_of_twelve_still_allow_22_percent_failures() {
        let rate = SuccessRate::compute(12, 0, 12).unwrap();
        // If all succeed, the bound has a closed form: 0.05^(1/n).
        assert!((rate.low - 0.05_f64.powf(1.0 / 12.0)).abs() < 1e-6, "{rate:?}");
        let text = rate.text(&[]);
        assert_eq!(text, "12 of 12 jobs (100 %); with 95 % confidence that still allows up to 22 % failures");
        assert!((SuccessRate::compute(0, 0, 12).unwrap().high - (1.0 - 0.05_f64.powf(1.0 / 12.0))).abs() < 1e-6);
        assert!(SuccessRate::compute(1, 0, 1).unwrap().text(&[]).starts_with("1 of 1 job (100 %); "));
    }

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // 10 of 12: 0.5159 to 0.9791 in every table of the exact method.
        let rate = SuccessRate::compute(10, 0, 12).unwrap();
        assert!((rate.low - 0.5159).abs() < 1e-4 && (rate.high - 0.9791).abs() < 1e-4, "{rate:?}");
        assert_eq!(rate.text(&[]), "10 of 12 jobs (83 %); 95 % interval 52 % to 98 %");
        assert!(SuccessRate::compute(0, 0, 0).is_none() && SuccessRate::compute(2, 0, 1).is_none());
        assert!(SuccessRate::compute(1, 1, 1).is_none());
    }

    #[test]
    fn shares_have_the_digits_that_keep_them_apart() {
        let text = |succeeded, of| SuccessRate::compute(succeeded, 0, of).unwrap().text(&[]);
        assert_eq!(text(9989, 10_000), "9989 of 10000 jobs (99.89 %); 95 % interval 99.8 % to 99.95 %");
        assert_eq!(text(9896, 10_000), "9896 of 10000 jobs (99.0 %); 95 % interval 98.7 % to 99.1 %");
        assert_eq!(text(11, 12), "11 of 12 jobs (92 %); 95 % interval 62 % to 99.8 %");
        let near = SuccessRate::compute(9896, 0, 10_000).unwrap().text(&[0.99]);
        assert_eq!(near, "9896 of 10000 jobs (98.96 %); 95 % interval 98.7 % to 99.1 %");
    }

    #[test]
    fn jobs_without_a_known_end_count_either_way() {
        let rate = SuccessRate::compute(4, 8, 12).unwrap();
        assert_eq!(
            rate.text(&[]),
            "4 of 12 jobs (33 %); 8 have no known end, so the true value lies between 33 % and 100 %"
        );
        let (none, all) = (SuccessRate::compute(4, 0, 12).unwrap(), SuccessRate::compute(12, 0, 12).unwrap());
        assert!((rate.low - none.low).abs() < 1e-12 && (rate.high - all.high).abs() < 1e-12, "{rate:?}");
        let upper = SuccessRate::compute(1000, 999, 2000).unwrap().text(&[]);
        assert!(upper.ends_with("; 999 have no known end, so the true value lies between 50 % and 99.95 %"), "{upper}");
    }
}

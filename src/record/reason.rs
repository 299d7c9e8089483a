//! The closed sets of words that records carry: reasons and flags. docs/records.md explains each.

use std::fmt;

use serde::Deserialize;
use serde_with::SerializeDisplay;

/// An enum of words that are spelt as their variants are. A word of another version is kept as text.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($word:ident)+) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, SerializeDisplay)]
        #[serde(from = "String")]
        pub enum $name {
            $(#[doc = concat!("`", stringify!($word), "`")] $word,)+
            /// A word that this version does not know.
            Other(String),
        }

        impl $name {
            /// Every word of this version.
            pub const ALL: &[Self] = &[$(Self::$word),+];

            /// The word as records spell it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$word => stringify!($word),)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word {
                    $(known if known == stringify!($word) => Self::$word,)+
                    word => Self::Other(word),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                String::json_schema(generator)
            }
        }
    };
}

words! {
    /// The reason why a job, a run or a capture is not as it should be: one documented CamelCase word.
    Reason:
    // Jobs.
    NotConnected Refused InvalidRequest NoSource SourceInUse NoAnswer AnswerCut NoJobId NotAccepted Collapsed TargetFailed
    DeadlineExceeded UnknownId UnnamedStatus NoStatus UnreadableAnswer OtherJob Stopped AnswerLost ShardLost NoToken
    // Aborted runs.
    TargetAbsent TargetUnhealthy InputFailed TargetGone NoSlots NoShare NoPoller PollerGone
    JournalFailed CookiesFailed SubmitterGone StepFailed
    // Every capture, and an aborted run.
    Interrupted
    // Every capture.
    NoWindow NotWritten
    // Series and traces.
    Off Unreachable Unauthorized Redirected Overloaded NotSettled
    // Series.
    OwnLimit NotReady BadQuery QueryFailed QueryTimeout NotFound Unavailable NotPrometheus Malformed TooManyPoints NoSeries IsPartial
    Warnings BeginsLate FutureWindow ClockOffset OffGrid LateSamples NoRawSamples NoTable
    // Traces.
    NoApi NotJaeger ServerError TooLarge NoTraces Overfull SearchLimit MissingTraces IncompleteTraces
    // Logs.
    Waived NoLog CommandFailed ReadFailed NoLines NoTimes
}

words! {
    /// A doubt about a job: one documented CamelCase word.
    Flag: StaleTimes BodyNotUtf8 LenientJson HeadOnly FailedStage RunningStage ErrorText CookieNotKept CookieExpired
    CookieUnsaved GoneIsDone CameBack StepFailed StagesUnknown VanishedStage QueuedLate QueuedAgain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written_and_an_unknown_one_is_kept() {
        for reason in Reason::ALL {
            let json = serde_json::to_string(reason).unwrap();
            assert_eq!(json, format!("{:?}", format!("{reason:?}")));
            assert_eq!(&serde_json::from_str::<Reason>(&json).unwrap(), reason);
        }
        let newer: Reason = serde_json::from_str(r#""SunSpots""#).unwrap();
        assert_eq!((newer.as_str(), serde_json::to_string(&newer).unwrap().as_str()), ("SunSpots", r#""SunSpots""#));
    }
}

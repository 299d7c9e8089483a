//! The broker of the stage messages: memory, or with the feature `amqp` a real RabbitMQ.
//!
//! The pipeline keeps its own queues of ready messages, in the order of publication, and schedules by them. In memory these queues
//! are all there is. Over AMQP a message enters them when the broker has confirmed it, and leaves them when it is fetched.

#![cfg_attr(not(feature = "amqp"), expect(unused_variables, clippy::unused_async, reason = "AMQP needs them"))]

#[cfg(feature = "amqp")]
mod amqp;

use std::future;
use std::io;

use crate::message::Message;
use crate::options::Options;

/// The pipeline's end of the queues.
#[derive(Debug)]
pub(crate) enum Broker {
    Memory,
    #[cfg(feature = "amqp")]
    Amqp(amqp::Queues),
}

/// Carries published messages to the broker; nothing to do in memory.
#[derive(Debug)]
pub(crate) enum Courier {
    Memory,
    #[cfg(feature = "amqp")]
    Amqp(Box<amqp::Publisher>),
}

/// A fetched message's hold on the broker, until it is settled.
#[derive(Debug)]
pub(crate) enum Receipt {
    Memory,
    #[cfg(feature = "amqp")]
    Amqp(amqp::Receipt),
}

/// The end of a message that was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// It is done with: finished, or published again as another attempt.
    Acknowledged,
    /// It goes to the dead letters.
    Rejected,
}

impl Broker {
    /// Connects to the broker that the options name, and declares the queues there.
    pub(crate) async fn connect(options: &Options) -> io::Result<(Self, Courier)> {
        #[cfg(feature = "amqp")]
        if let Some(url) = &options.observe.amqp {
            let (queues, publisher) = amqp::connect(url).await?;
            return Ok((Self::Amqp(queues), Courier::Amqp(Box::new(publisher))));
        }
        Ok((Self::Memory, Courier::Memory))
    }

    /// Publishes a message; true if it is ready at once, false if the courier will say when it is.
    pub(crate) fn publish(&self, message: Message, job_id: &str, trace: u128) -> bool {
        match self {
            Self::Memory => true,
            #[cfg(feature = "amqp")]
            Self::Amqp(queues) => {
                queues.publish(message, job_id, trace);
                false
            }
        }
    }

    /// Fetches from the broker the message that is next on the pipeline's own queue; none, and a complaint, if it is missing.
    pub(crate) async fn fetch(&self, message: Message, job_id: &str) -> Option<Receipt> {
        match self {
            Self::Memory => Some(Receipt::Memory),
            #[cfg(feature = "amqp")]
            Self::Amqp(queues) => queues.fetch(message, job_id).await.map(Receipt::Amqp),
        }
    }
}

impl Courier {
    /// Carries messages for as long as the pipeline runs, and calls `confirmed` for each that the broker has.
    pub(crate) async fn run(self, confirmed: impl Fn(Message)) {
        match self {
            Self::Memory => future::pending::<()>().await,
            #[cfg(feature = "amqp")]
            Self::Amqp(publisher) => publisher.run(confirmed).await,
        }
    }
}

impl Receipt {
    pub(crate) async fn settle(self, settlement: Settlement) {
        match self {
            Self::Memory => {}
            #[cfg(feature = "amqp")]
            Self::Amqp(receipt) => receipt.settle(settlement).await,
        }
    }
}

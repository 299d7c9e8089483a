//! Stage queues on a RabbitMQ: one durable queue per stage on a direct exchange, and a dead-letter exchange.
//!
//! Messages are persistent, confirmed by the broker, fetched one by one and settled by hand, so that the broker's own gauges show the
//! depth of each queue. Messages that an earlier run left on the queues are purged at the start.

use std::future::Future;
use std::io;

use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Settlement;
use crate::message::Message;
use crate::stage::Stage;

/// The direct exchange that stages publish to, by the name of the queue.
const STAGES: &str = "autorag.stages";

/// The exchange and the queue of rejected messages.
const DEAD: &str = "autorag.dead";
const DEAD_LETTERS: &str = "dead-letters";

/// AMQP's delivery mode for messages that survive the broker.
const PERSISTENT: u8 = 2;

/// The fetching end, and the way to the publisher.
#[derive(Debug)]
pub(crate) struct Queues {
    channel: Channel,
    outgoing: UnboundedSender<Outgoing>,
}

/// The publishing end.
#[derive(Debug)]
pub(crate) struct Publisher {
    /// Kept open for both ends.
    connection: Connection,
    channel: Channel,
    outgoing: UnboundedReceiver<Outgoing>,
}

/// A message on its way to the broker.
#[derive(Debug)]
struct Outgoing {
    message: Message,
    body: String,
    traceparent: String,
}

/// A message that was fetched and not settled.
#[derive(Debug)]
pub(crate) struct Receipt(Box<BasicGetMessage>);

/// Connects, declares and purges. The error names no address, since that may carry a password.
pub(crate) async fn connect(url: &str) -> io::Result<(Queues, Publisher)> {
    let opened = async {
        let name = ConnectionProperties::default().with_connection_name("pipeline-sim".into());
        let connection = Connection::connect(url, name).await?;
        let publishing = connection.create_channel().await?;
        publishing.confirm_select(ConfirmSelectOptions::default()).await?;
        declare(&publishing).await?;
        let fetching = connection.create_channel().await?;
        Ok::<_, lapin::Error>((connection, publishing, fetching))
    };
    let (connection, publishing, fetching) =
        opened.await.map_err(|error| io::Error::other(format!("--amqp: {error}")))?;
    let (sender, receiver) = unbounded_channel();
    let queues = Queues { channel: fetching, outgoing: sender };
    Ok((queues, Publisher { connection, channel: publishing, outgoing: receiver }))
}

async fn declare(channel: &Channel) -> lapin::Result<()> {
    let none = FieldTable::default;
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(STAGES.into(), ExchangeKind::Direct, durable, none()).await?;
    channel.exchange_declare(DEAD.into(), ExchangeKind::Fanout, durable, none()).await?;
    let mut dead_lettered = FieldTable::default();
    dead_lettered.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(DEAD.into()));
    let stages = Stage::ALL.iter().map(|stage| (stage.queue(), STAGES, dead_lettered.clone()));
    for (queue, exchange, arguments) in stages.chain([(DEAD_LETTERS, DEAD, none())]) {
        let queue = ShortString::from(queue);
        channel.queue_declare(queue.clone(), QueueDeclareOptions::durable(), arguments).await?;
        channel.queue_bind(queue.clone(), exchange.into(), queue.clone(), QueueBindOptions::default(), none()).await?;
        channel.queue_purge(queue, QueuePurgeOptions::default()).await?;
    }
    Ok(())
}

impl Queues {
    pub(super) fn publish(&self, message: Message, job_id: &str, trace: u128) {
        let body = json!({"job_id": job_id, "stage": message.stage.name(), "attempt": message.attempt}).to_string();
        let traceparent = format!("00-{trace:032x}-{:016x}-01", message.parent);
        if self.outgoing.send(Outgoing { message, body, traceparent }).is_err() {
            crate::complain("amqp: the publisher has stopped: a message is lost");
        }
    }

    /// Fetches the message. Any message before it on the queue belongs to somebody else, and is rejected.
    pub(super) async fn fetch(&self, message: Message, job_id: &str) -> Option<Receipt> {
        let queue = message.stage.queue();
        loop {
            match self.channel.basic_get(queue.into(), BasicGetOptions::default()).await {
                Ok(Some(fetched)) if is_message(&fetched.delivery.data, message, job_id) => {
                    return Some(Receipt(Box::new(fetched)));
                }
                Ok(Some(foreign)) => {
                    crate::complain(&format!("amqp: {queue} held a message that is not ours"));
                    Receipt(Box::new(foreign)).settle(Settlement::Rejected).await;
                }
                Ok(None) => {
                    crate::complain(&format!("amqp: {queue} has lost the message of job {job_id}"));
                    return None;
                }
                Err(error) => {
                    crate::complain(&format!("amqp: fetching from {queue}: {error}"));
                    return None;
                }
            }
        }
    }
}

/// Returns true if a fetched body is that of the message.
fn is_message(body: &[u8], message: Message, job_id: &str) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["job_id"] == job_id && body["stage"] == message.stage.name() && body["attempt"] == message.attempt
}

impl Publisher {
    pub(super) async fn run(mut self, confirmed: impl Fn(Message)) {
        while let Some(outgoing) = self.outgoing.recv().await {
            match self.publish(&outgoing).await {
                Ok(()) => confirmed(outgoing.message),
                Err(error) => {
                    let queue = outgoing.message.stage.queue();
                    crate::complain(&format!("amqp: publishing to {queue}: {error}: the message is lost"));
                }
            }
        }
        drop(self.connection);
    }

    fn publish<'a>(&'a self, outgoing: &'a Outgoing) -> impl Future<Output = lapin::Result<()>> + 'a {
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString(outgoing.traceparent.as_str().into()));
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_headers(headers);
        let queue = ShortString::from(outgoing.message.stage.queue());
        async move {
            let options = BasicPublishOptions::default();
            let body = outgoing.body.as_bytes();
            self.channel.basic_publish(STAGES.into(), queue, options, body, properties).await?.await?;
            Ok(())
        }
    }
}

impl Receipt {
    pub(super) async fn settle(self, settlement: Settlement) {
        let acker = self.0.delivery.acker;
        let settled = match settlement {
            Settlement::Acknowledged => acker.ack(BasicAckOptions::default()).await,
            Settlement::Rejected => acker.reject(BasicRejectOptions { requeue: false }).await,
        };
        if let Err(error) = settled {
            crate::complain(&format!("amqp: settling a message: {error}"));
        }
    }
}

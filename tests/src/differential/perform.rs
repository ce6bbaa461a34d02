//! Making a step happen at one side.

use std::collections::VecDeque;

use bytes::Bytes;
use http::Method as HttpMethod;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use tonic::metadata::MetadataMap;

use super::answer::{framing, of_message, of_status, of_stream};
use super::contract::{Method, base64, bytes_of, gateway_path, method, number};
use super::http::Asked;
use super::mask::{mask, mask_lease};
use super::side::Side;
use super::step::{Call, HttpCall, MEMBER, Queueing, Step, Who};
use super::wire::{self, PATIENCE};
use crate::wait::until_async;

impl Side {
    /// The answer, masked.
    pub async fn perform(&mut self, step: &Step) -> Value {
        let mut answer = match step {
            Step::Call(call) => self.call(call).await,
            Step::Gateway(call) => self.gateway(call).await,
            Step::Http(call) => self.plain(call).await,
            Step::Stream { call, messages, at_most } => self.stream(call, messages, *at_most).await,
            Step::GatewayLines { call, messages, count } => {
                let asked = self.by_gateway(call, messages);
                self.http.ask_lines(asked, *count).await
            }
            Step::Drain(call) => self.drain(call).await,
            Step::GatewayDrain(call) => self.drain_gateway(call).await,
            Step::OpenWatch(stream, who) => {
                let metadata = self.metadata(who);
                self.watches.open(*stream, &self.channel, metadata, &self.identity)
            }
            Step::Watch(stream, message) => self.watches.send(*stream, message).await,
            Step::CloseWatch(stream) => self.watches.close(*stream),
            Step::Settle => json!({}),
            Step::Queue { service, name, leases, who } => {
                self.queue(*service, name, *leases, who).await
            }
            Step::Term { name, lease, who, by_gateway } => {
                self.term(name, *lease, who, *by_gateway).await
            }
            Step::Sessionless { service, name, who } => self.sessionless(*service, name, who).await,
            Step::GrantAny { ttl, who } => self.grant_any(*ttl, who).await,
        };
        mask(&step.subject(), &self.identity, &mut answer);
        answer
    }

    /// The answer as it is; a token that is in it is kept.
    pub(super) async fn call(&mut self, call: &Call) -> Value {
        let method = method(call.method);
        let message = method.encode(&self.own(&call.message));
        let metadata = self.metadata_of(call);
        let answer = of_message(method, self.unary(method, metadata, message).await);
        self.keep_token(call, &answer);
        answer
    }

    async fn unary(
        &self,
        method: &Method,
        metadata: MetadataMap,
        message: Bytes,
    ) -> Result<Bytes, tonic::Status> {
        wire::unary(&self.channel, method, metadata, message).await
    }

    fn keep_token(&mut self, call: &Call, answer: &Value) {
        if call.method == "Auth/Authenticate"
            && let (Some(name), Some(token)) =
                (call.message["name"].as_str(), answer["body"]["token"].as_str())
        {
            self.tokens.insert(name.to_owned(), token.to_owned());
        }
    }

    async fn gateway(&mut self, call: &Call) -> Value {
        let asked = self.by_gateway(call, std::slice::from_ref(&call.message));
        let answer = self.http.ask(asked).await;
        self.keep_token(call, &answer);
        answer
    }

    fn by_gateway(&self, call: &Call, messages: &[Value]) -> Asked {
        let body: String = messages.iter().map(|message| self.own(message).to_string()).collect();
        Asked {
            method: HttpMethod::POST,
            url: format!("{}{}", self.identity.client_url, gateway_path(call.method)),
            headers: self.headers_of(call),
            body: body.into(),
        }
    }

    /// A message with the member's own id where it is meant.
    fn own(&self, message: &Value) -> Value {
        let Value::Object(fields) = message else { return message.clone() };
        let fields = fields.iter().map(|(name, value)| {
            let value = if value == MEMBER {
                self.identity.member_id.clone().into()
            } else {
                value.clone()
            };
            (name.clone(), value)
        });
        fields.collect::<Map<_, _>>().into()
    }

    async fn plain(&self, call: &HttpCall) -> Value {
        let mut headers = http::HeaderMap::new();
        for (name, value) in &call.headers {
            headers.insert(*name, value.parse().expect("a header's value"));
        }
        let asked = Asked {
            method: call.method.parse().expect("a method"),
            url: format!("{}{}", self.identity.client_url, call.path),
            headers,
            body: call.body.clone().into(),
        };
        self.http.ask(asked).await
    }

    async fn stream(&self, call: &Call, messages: &[Value], at_most: usize) -> Value {
        let method = method(call.method);
        let encoded: Vec<Bytes> = messages.iter().map(|message| method.encode(message)).collect();
        let requests = tokio_stream::iter(encoded);
        let opened = wire::streaming(&self.channel, method, self.metadata_of(call), requests);
        let mut answers = match timeout(PATIENCE, opened).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(status)) => return of_status(&status),
            Err(_) => return json!({"status": "differential: no answer in time"}),
        };
        let mut got = Vec::new();
        while got.len() < at_most {
            match timeout(PATIENCE, answers.message()).await {
                Ok(Ok(Some(answer))) => got.push(answer),
                Ok(Ok(None)) => break,
                Ok(Err(status)) => return of_stream(method, got, Some(&status)),
                Err(_) => return json!({"status": "differential: no end in time"}),
            }
        }
        of_stream(method, got, None)
    }

    async fn drain(&self, call: &Call) -> Value {
        let message = [call.message.clone()];
        let mut answer = self.stream(call, &message, usize::MAX).await;
        if let Some(parts) = answer["body"].as_array() {
            answer["body"] = framing(parts);
        }
        answer
    }

    async fn drain_gateway(&self, call: &Call) -> Value {
        let asked = self.by_gateway(call, std::slice::from_ref(&call.message));
        let mut answer = self.http.ask(asked).await;
        if let Some(lines) = answer["body"].as_array() {
            let parts: Vec<Value> = lines.iter().map(|line| line["result"].clone()).collect();
            answer["body"] = framing(&parts);
        }
        answer
    }

    async fn ask(&mut self, method: &'static str, message: Value, who: &Who) -> Value {
        self.ask_by(false, method, message, who).await
    }

    async fn ask_by(
        &mut self,
        by_gateway: bool,
        method: &'static str,
        message: Value,
        who: &Who,
    ) -> Value {
        let call = Call::new(method, message).by(who);
        if by_gateway { self.gateway(&call).await } else { self.call(&call).await }
    }

    /// The second waits in the queue before the first gives it back.
    async fn queue(&mut self, service: Queueing, name: &str, leases: [i64; 2], who: &Who) -> Value {
        let [ask, give_back] = service.calls();
        let request = |lease: i64| request_of(service, name, lease);
        let first = self.ask(ask, request(leases[0]), who).await;
        let asking = method(ask);
        let (channel, metadata) = (self.channel.clone(), self.metadata(who));
        let message = asking.encode(&request(leases[1]));
        let second =
            tokio::spawn(async move { wire::unary(&channel, asking, metadata, message).await });
        let queued = until_async(PATIENCE, async || {
            let prefix = json!({
                "key": base64(format!("{name}/")),
                "range_end": base64(format!("{name}0")),
                "count_only": true,
            });
            let found = self.ask("KV/Range", prefix, who).await;
            (second.is_finished() || number(&found["body"]["count"]) >= 2).then_some(())
        });
        let queued = queued.await.is_some();
        let mut answers = VecDeque::new();
        let released = self.ask(give_back, release_of(service, &first), who).await;
        let second = match second.await {
            Ok(second) => of_message(asking, second),
            Err(error) => json!({"status": error.to_string()}),
        };
        let last = self.ask(give_back, release_of(service, &second), who).await;
        answers.extend([first, released, second, last]);
        json!({"status": "OK", "queued": queued, "body": answers})
    }

    async fn term(&mut self, name: &str, lease: i64, who: &Who, by_gateway: bool) -> Value {
        let campaign = request_of(Queueing::Election, name, lease);
        let mut ask = async |method, message| self.ask_by(by_gateway, method, message, who).await;
        let first = ask("Election/Campaign", campaign.clone()).await;
        let leader = release_of(Queueing::Election, &first);
        let proclaim = {
            let mut proclaim = leader.clone();
            proclaim["value"] = base64("proclaimed");
            proclaim
        };
        let of_name = json!({"name": base64(name)});
        let proclaimed = ask("Election/Proclaim", proclaim.clone()).await;
        let observed = self.observe(&of_name, who, by_gateway).await;
        let mut ask = async |method, message| self.ask_by(by_gateway, method, message, who).await;
        let again = ask("Election/Campaign", campaign).await;
        let leads = ask("Election/Leader", of_name.clone()).await;
        let resigned = ask("Election/Resign", leader.clone()).await;
        let twice = ask("Election/Resign", leader).await;
        let nobody = ask("Election/Leader", of_name).await;
        let late = ask("Election/Proclaim", proclaim).await;
        json!({"status": "OK", "body": [
            first, proclaimed, observed, again, leads, resigned, twice, nobody, late,
        ]})
    }

    /// Who leads now.
    async fn observe(&self, of_name: &Value, who: &Who, by_gateway: bool) -> Value {
        let observe = Call::new("Election/Observe", json!({})).by(who);
        let messages = std::slice::from_ref(of_name);
        if by_gateway {
            self.http.ask_lines(self.by_gateway(&observe, messages), 1).await
        } else {
            self.stream(&observe, messages, 1).await
        }
    }

    async fn sessionless(&mut self, service: Queueing, name: &str, who: &Who) -> Value {
        let [ask, give_back] = service.calls();
        let held = self.ask(ask, request_of(service, name, 0), who).await;
        let key = match service {
            Queueing::Lock => bytes_of(&held["body"]["key"]),
            Queueing::Election => bytes_of(&held["body"]["leader"]["key"]),
        };
        let key = key.unwrap_or_default();
        let hex = key.rsplit(|byte| *byte == b'/').next().unwrap_or(&[]);
        let hex = String::from_utf8_lossy(hex).into_owned();
        let lease = i64::from_str_radix(&hex, 16).unwrap_or(0);
        let released = self.ask(give_back, release_of(service, &held), who).await;
        let revoked = self.ask("Lease/LeaseRevoke", json!({"ID": lease.to_string()}), who).await;
        let mut answer = json!({"status": "OK", "body": [held, released, revoked]});
        mask_lease(lease, &mut answer);
        answer
    }

    async fn grant_any(&mut self, ttl: i64, who: &Who) -> Value {
        let grant = json!({"TTL": ttl.to_string()});
        let granted = self.ask("Lease/LeaseGrant", grant, who).await;
        let id = json!({"ID": granted["body"]["ID"]});
        let id = if id["ID"].is_null() { json!({}) } else { id };
        let left = self.ask("Lease/LeaseTimeToLive", id.clone(), who).await;
        let lease = number(&id["ID"]);
        let revoked = self.ask("Lease/LeaseRevoke", id, who).await;
        let body = json!({"granted": granted, "left": left, "revoked": revoked});
        let mut answer = json!({"status": "OK", "body": body});
        mask_lease(lease, &mut answer);
        answer
    }
}

fn request_of(service: Queueing, name: &str, lease: i64) -> Value {
    let mut request = json!({"name": base64(name), "lease": lease.to_string()});
    if service == Queueing::Election {
        request["value"] = base64("candidate");
    }
    request
}

fn release_of(service: Queueing, held: &Value) -> Value {
    match service {
        Queueing::Lock => {
            let key = &held["body"]["key"];
            if key.is_null() { json!({}) } else { json!({"key": key}) }
        }
        Queueing::Election => {
            let leader = &held["body"]["leader"];
            if leader.is_null() { json!({}) } else { json!({"leader": leader}) }
        }
    }
}

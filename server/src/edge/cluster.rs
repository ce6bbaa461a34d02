//! The members of the cluster.

use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::{
    MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
    MemberPromoteRequest, MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse,
    MemberUpdateRequest, MemberUpdateResponse, cluster_server,
};
use tonic::{Request, Response, Status};

use super::convert;
use super::status::{Refused, not_yet, of_request};
use crate::config::Url;
use crate::runtime::Handle;

pub(super) struct Cluster(pub(super) Handle);

#[tonic::async_trait]
impl cluster_server::Cluster for Cluster {
    async fn member_list(
        &self,
        request: Request<MemberListRequest>,
    ) -> Result<Response<MemberListResponse>, Status> {
        if request.into_inner().linearizable {
            self.0.read_barrier().await.map_err(of_request)?;
        }
        let root = self.0.root();
        let members = root.members().iter().map(convert::member).collect();
        let header = Some(self.0.header(0));
        Ok(Response::new(MemberListResponse { header, members }))
    }

    async fn member_add(
        &self,
        request: Request<MemberAddRequest>,
    ) -> Result<Response<MemberAddResponse>, Status> {
        let peer_urls = urls(&request.into_inner().peer_ur_ls)?;
        check_unused(&self.0.root(), &peer_urls, 0)?;
        Err(not_yet("adding a member is"))
    }

    async fn member_remove(
        &self,
        request: Request<MemberRemoveRequest>,
    ) -> Result<Response<MemberRemoveResponse>, Status> {
        is_learner(&self.0.root(), request.into_inner().id)?;
        Err(not_yet("removing a member is"))
    }

    async fn member_update(
        &self,
        request: Request<MemberUpdateRequest>,
    ) -> Result<Response<MemberUpdateResponse>, Status> {
        let request = request.into_inner();
        let peer_urls = urls(&request.peer_ur_ls)?;
        is_learner(&self.0.root(), request.id)?;
        check_unused(&self.0.root(), &peer_urls, request.id)?;
        Err(not_yet("updating a member is"))
    }

    async fn member_promote(
        &self,
        request: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        if !is_learner(&self.0.root(), request.into_inner().id)? {
            return Err(Refused::MemberNotLearner.into());
        }
        Err(not_yet("promoting a member is"))
    }
}

/// The URLs of a member, in one form.
fn urls(texts: &[String]) -> Result<Vec<String>, Refused> {
    if texts.is_empty() {
        return Err(Refused::MemberBadUrls);
    }
    let urls = texts.iter().map(|text| Url::parse(text).map(|url| url.to_string()));
    urls.collect::<Result<_, _>>().map_err(|_| Refused::MemberBadUrls)
}

/// No other member may have one of the URLs.
fn check_unused(root: &Root, wanted: &[String], of: u64) -> Result<(), Refused> {
    let others = root.members().iter().filter(|member| member.id != of);
    let mut used = others.filter_map(|member| member.raft_attributes.as_ref());
    let clash = used.any(|raft| raft.peer_urls.iter().any(|used| wanted.contains(used)));
    if clash { Err(Refused::PeerUrlExists) } else { Ok(()) }
}

fn is_learner(root: &Root, id: u64) -> Result<bool, Refused> {
    let member = root.members().iter().find(|member| member.id == id);
    let member = member.ok_or(Refused::MemberNotFound)?;
    Ok(member.raft_attributes.as_ref().is_some_and(|raft| raft.is_learner))
}

//! Time travel and safe change, as a person and a script meet them: what keys were, what became of
//! them, and making them that again, against our server and Debian's etcd.
//!
//! What is said stands in `transcripts/`, one for each scene and the same for both servers;
//! `KVORUM_UPDATE=1` writes them anew.

mod bundles;
mod copy;
mod meanwhile;
mod person;
mod pushed;
mod scenes;

use std::path::PathBuf;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::transcript::Transcript;
use kvorum_tests::{binary, or_skip, workspace};

/// Which server a scene is played on.
fn ours() -> Program {
    Names::of(binary!()).server()
}

fn transcript(scene: &str, cluster: &Cluster) -> Transcript {
    let path = workspace::root().join("tests/tests/travel/transcripts");
    let path: PathBuf = path.join(format!("{scene}.txt"));
    Transcript::of(path, Names::of(binary!()).kvorum(), cluster)
}

/// Plays a scene on both servers.
macro_rules! on_both {
    ($ours:ident, $etcd:ident, $scene:path) => {
        #[test]
        fn $ours() {
            $scene(&ours());
        }

        #[test]
        fn $etcd() {
            $scene(&or_skip!(real_etcd(), NO_ETCD));
        }
    };
}

on_both!(what_a_key_was_on_ours, what_a_key_was_on_etcd, scenes::history);
on_both!(two_states_on_ours, two_states_on_etcd, scenes::differences);
on_both!(other_clusters_and_files_on_ours, other_clusters_and_files_on_etcd, scenes::elsewhere);
on_both!(keys_come_back_on_ours, keys_come_back_on_etcd, scenes::restored);
on_both!(leases_come_back_on_ours, leases_come_back_on_etcd, scenes::leases);
on_both!(bytes_that_are_no_text_on_ours, bytes_that_are_no_text_on_etcd, scenes::binary);
on_both!(what_was_compacted_on_ours, what_was_compacted_on_etcd, scenes::compacted);
on_both!(ones_own_writes_on_ours, ones_own_writes_on_etcd, scenes::undone);
on_both!(a_prefix_is_denied_on_ours, a_prefix_is_denied_on_etcd, scenes::denied);
on_both!(another_writer_on_ours, another_writer_on_etcd, meanwhile::another_writer);
on_both!(
    a_plan_of_a_thousand_is_interrupted_and_resumed_on_ours,
    a_plan_of_a_thousand_is_interrupted_and_resumed_on_etcd,
    meanwhile::interrupted
);
on_both!(
    a_plan_thought_better_of_on_ours,
    a_plan_thought_better_of_on_etcd,
    meanwhile::thought_better_of
);
on_both!(
    another_writer_in_the_middle_of_a_plan_on_ours,
    another_writer_in_the_middle_of_a_plan_on_etcd,
    meanwhile::another_writer_in_the_middle
);
on_both!(bundles_on_ours, bundles_on_etcd, bundles::told);
on_both!(a_round_trip_on_ours, a_round_trip_on_etcd, bundles::round_trip);
on_both!(a_bundle_that_is_cut_on_ours, a_bundle_that_is_cut_on_etcd, bundles::cut);
on_both!(leases_of_a_bundle_on_ours, leases_of_a_bundle_on_etcd, bundles::leases);
on_both!(no_room_for_a_bundle_on_ours, no_room_for_a_bundle_on_etcd, bundles::no_room);
on_both!(a_large_bundle_on_ours, a_large_bundle_on_etcd, bundles::many);
on_both!(
    an_import_is_interrupted_and_resumed_on_ours,
    an_import_is_interrupted_and_resumed_on_etcd,
    bundles::interrupted
);
on_both!(
    another_writer_during_an_import_on_ours,
    another_writer_during_an_import_on_etcd,
    bundles::another_writer
);
on_both!(copies_on_ours, copies_on_etcd, copy::told);
on_both!(a_key_is_moved_at_once_on_ours, a_key_is_moved_at_once_on_etcd, copy::at_once);
on_both!(a_move_is_interrupted_on_ours, a_move_is_interrupted_on_etcd, copy::interrupted);
on_both!(from_another_cluster_on_ours, from_another_cluster_on_etcd, copy::from_elsewhere);
on_both!(compare_and_swap_on_ours, compare_and_swap_on_etcd, copy::swapped);
on_both!(a_configuration_on_ours, a_configuration_on_etcd, pushed::told);
on_both!(a_key_of_many_lives_on_ours, a_key_of_many_lives_on_etcd, meanwhile::many_lives);
on_both!(
    few_operations_at_a_time_on_ours,
    few_operations_at_a_time_on_etcd,
    meanwhile::few_operations
);
on_both!(what_is_not_ones_own_on_ours, what_is_not_ones_own_on_etcd, meanwhile::not_ones_own);

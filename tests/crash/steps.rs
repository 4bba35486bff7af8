//! One death at each named step: quick, and the same every time.

use devstack::{Chance, Postgres, Signal};
use postroom::step::Step;

use crate::LIMIT;
use crate::figures::Figures;
use crate::mail::Writer;
use crate::rig::Rig;
use crate::run::died_by;
use crate::verdict;

/// Takes the worker down at the first and at the second passing of a step, and lets its successor go on.
async fn loses_and_doubles_nothing_when_killed(step: Step) {
    let database = Postgres::shared().await.unwrap().database().await.unwrap();
    let mut rig = Rig::start(database, 1).await.unwrap();
    let (mut chance, mut writer) = (Chance::of(1), Writer::default());
    for nth in [1, 2] {
        for _ in 0..16 {
            for mail in writer.write(&mut chance) {
                rig.deliver(&mail).unwrap();
            }
        }
        let mut worker = rig.worker_dying_at(step, nth).unwrap();
        let status = worker.wait(LIMIT).await.unwrap();
        assert!(died_by(status, Signal::ABORT), "{status}\n{}", worker.log_tail());
        rig.pass_time().await.unwrap();
    }

    verdict::pass(&mut rig, &mut Figures::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_fetch_it_loses_and_doubles_nothing() {
    loses_and_doubles_nothing_when_killed(Step::BeforeFetch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_fetch_it_loses_and_doubles_nothing() {
    loses_and_doubles_nothing_when_killed(Step::AfterFetch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_commit_it_loses_and_doubles_nothing() {
    loses_and_doubles_nothing_when_killed(Step::BeforeCommit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_commit_it_loses_and_doubles_nothing() {
    loses_and_doubles_nothing_when_killed(Step::AfterCommit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_settle_it_loses_and_doubles_nothing() {
    loses_and_doubles_nothing_when_killed(Step::BeforeSettle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_settle_it_loses_and_doubles_nothing() {
    loses_and_doubles_nothing_when_killed(Step::AfterSettle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_send_it_loses_and_doubles_nothing() {
    loses_and_doubles_nothing_when_killed(Step::BeforeSend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_answer_it_loses_and_doubles_nothing() {
    loses_and_doubles_nothing_when_killed(Step::AfterAnswer).await;
}

//! A run, carried out round by round.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use devstack::{Durability, Postgres, Signal, Worker, poll};

use crate::LIMIT;
use crate::figures::Figures;
use crate::mail::Mail;
use crate::plan::{Blow, Plan, Progress, Round, When};
use crate::rig::{Rig, Standing};
use crate::verdict;

/// A moment that has not come by then may never come: the worker is killed as it stands.
const PATIENCE: Duration = Duration::from_secs(5);

/// One look of so many lets slow helpdesks answer.
const SLOWNESS: u32 = 8;

/// Carries out a plan and judges it. The error says all that is wrong.
pub(crate) async fn run(seed: u64, kills: usize) -> Result<Figures> {
    let plan = Plan::draw(seed, kills);
    let postgres = Postgres::start(Durability::Processes).await?;
    let database = postgres.database().await?;
    let rig = Rig::start(database, seed).await?;
    let mut run = Run { rig, postgres, figures: Figures::default() };
    for (number, round) in plan.rounds.iter().enumerate() {
        run.round(round).await.with_context(|| format!("in round {number}, {:?}", round.blow))?;
    }
    verdict::pass(&mut run.rig, &mut run.figures).await?;
    Ok(run.figures)
}

struct Run {
    rig: Rig,
    postgres: Postgres,
    figures: Figures,
}

/// What a round works towards.
struct Goal {
    progress: Progress,
    /// Where it began.
    from: Standing,
}

type Meanwhile<'a> = std::slice::Iter<'a, Mail>;

impl Run {
    async fn round(&mut self, round: &Round) -> Result<()> {
        for mail in &round.before {
            self.rig.deliver(mail)?;
        }
        let mut meanwhile = round.meanwhile.iter();
        match round.blow {
            Blow::Step(step, nth) => {
                let mut worker = self.rig.worker_dying_at(step, nth)?;
                if self.work(&mut worker, None, &mut meanwhile).await? {
                    let status = worker.wait(LIMIT).await?;
                    ensure!(died_by(status, Signal::ABORT), "{status}\n{}", worker.log_tail());
                    *self.figures.steps.entry(step.as_str()).or_default() += 1;
                } else {
                    kill(&mut worker).await?;
                }
                sound(&worker)?;
            }
            Blow::Kill(when) => {
                let mut worker = self.at(when, &mut meanwhile).await?;
                kill(&mut worker).await?;
            }
            Blow::Terminate(when) => {
                let mut worker = self.at(when, &mut meanwhile).await?;
                self.terminate(&mut worker).await?;
            }
            Blow::OneOfTwo { when, elder: killed } => {
                let goal = self.goal(when.progress).await?;
                let (mut elder, mut younger) = (self.rig.worker()?, self.rig.worker()?);
                self.work(&mut elder, Some(goal), &mut meanwhile).await?;
                elder.run_for(when.later).await?;
                let (victim, other) =
                    if killed { (&mut elder, &mut younger) } else { (&mut younger, &mut elder) };
                kill(victim).await?;
                self.look().await?;
                self.terminate(other).await?;
            }
            Blow::Suspend(when) => self.suspend(when, &mut meanwhile).await?,
            Blow::Dovecot(when) => {
                let mut worker = self.at(when, &mut meanwhile).await?;
                self.rig.dovecot.kill9().await?;
                self.rig.note_half_moved()?;
                self.rig.dovecot.start_again().await?;
                worker.run_for(when.later).await?;
                kill(&mut worker).await?;
            }
            Blow::Postgres(when) => {
                let mut worker = self.at(when, &mut meanwhile).await?;
                self.postgres.kill9().await?;
                self.postgres.start_again().await?;
                match worker.run_for(when.later).await {
                    Ok(()) => kill(&mut worker).await?,
                    Err(_) => gave_up(&mut worker)?,
                }
            }
        }
        *self.figures.blows.entry(round.blow.name()).or_default() += 1;
        if !matches!(round.blow, Blow::Step(..) | Blow::Terminate(_) | Blow::OneOfTwo { .. }) {
            self.look().await?;
        }
        for mail in meanwhile {
            self.rig.deliver(mail)?;
        }
        self.rig.hurry();
        // What the killed worker's connections were about to do may still be under way.
        poll::until("time to pass", LIMIT, async || self.rig.pass_time().await).await
    }

    /// Starts a worker and lets it work until then.
    async fn at(&mut self, when: When, meanwhile: &mut Meanwhile<'_>) -> Result<Worker> {
        let goal = self.goal(when.progress).await?;
        let mut worker = self.rig.worker()?;
        self.work(&mut worker, Some(goal), meanwhile).await?;
        worker.run_for(when.later).await?;
        Ok(worker)
    }

    async fn goal(&self, progress: Progress) -> Result<Goal> {
        Ok(Goal { progress, from: self.rig.standing().await? })
    }

    /// Suspends a worker for longer than its leases last, and wakes it when its successor is at work.
    async fn suspend(&mut self, when: When, meanwhile: &mut Meanwhile<'_>) -> Result<()> {
        let mut worker = self.at(when, meanwhile).await?;
        poll::until("a moment without a lock", LIMIT, async || {
            worker.signal(Signal::STOP)?;
            let passed = self.rig.pass_time().await;
            if passed.is_err() {
                // In a transaction, which ends by a deadline of PostgreSQL and not by ours.
                worker.signal(Signal::CONT)?;
            }
            passed
        })
        .await?;
        let goal = self.goal(Progress::TookOver).await?;
        let mut successor = self.rig.worker()?;
        // IMAP has no fences: were it woken before, both might move the same mail at the same instant.
        self.work(&mut successor, Some(goal), meanwhile).await?;
        successor.run_for(when.later).await?;
        worker.signal(Signal::CONT)?;
        successor.run_for(when.later).await?;
        kill(&mut worker).await?;
        kill(&mut successor).await
    }

    /// Lets a worker work while mail arrives, until it has come to `goal` or has ended. False if neither comes.
    async fn work(
        &mut self,
        worker: &mut Worker,
        goal: Option<Goal>,
        meanwhile: &mut Meanwhile<'_>,
    ) -> Result<bool> {
        let Self { rig, figures, .. } = self;
        let mut looks = 0;
        let came = poll::until("the moment", PATIENCE, async || {
            looks += 1;
            if let Some(mail) = meanwhile.next()
                && let Err(error) = rig.deliver(mail)
            {
                return Ok(Err(error));
            }
            if looks % SLOWNESS == 0 {
                rig.hurry();
            }
            // Gone as soon as it has ended.
            figures.memory_peak = figures.memory_peak.max(worker.memory_peak().unwrap_or(0));
            match (worker.ended()?, &goal) {
                (Some(status), Some(_)) => {
                    return Ok(Err(anyhow::anyhow!("it ended by itself: {status}\n{}", worker.log_tail())));
                }
                (Some(_), None) => {}
                (None, Some(goal)) => ensure!(reached(rig, worker, goal).await?, "not yet"),
                (None, None) => bail!("not yet"),
            }
            Ok(Ok(()))
        })
        .await;
        let Ok(outcome) = came else {
            figures.never_came += 1;
            return Ok(false);
        };
        outcome.map(|()| true)
    }

    async fn terminate(&self, worker: &mut Worker) -> Result<()> {
        worker.signal(Signal::TERM)?;
        let mut looks = 0;
        let status = poll::until("the worker to end by SIGTERM", LIMIT, async || {
            looks += 1;
            if looks % SLOWNESS == 0 {
                self.rig.hurry();
            }
            worker.ended()?.context("it is running")
        });
        let status = status.await?;
        let said = worker.stderr()?;
        // Before it handles signals it has nothing to finish.
        let not_begun = died_by(status, Signal::TERM) && said.is_empty();
        let in_order = status.code() == Some(0) && !said.contains("grace period is over");
        ensure!(in_order || not_begun, "SIGTERM: {status}\n{}", worker.log_tail());
        sound(worker)
    }

    /// Looks at what was in hand when a worker was killed.
    async fn look(&mut self) -> Result<()> {
        let sql = "SELECT count(*) FILTER (WHERE state = 'seen'),
                count(*) FILTER (WHERE state IN ('recorded', 'duplicate')),
                (SELECT count(*) FROM deliveries WHERE status = 'pending'),
                (SELECT count(*) FROM deliveries WHERE status = 'pending' AND lease_until > now())
             FROM ledger WHERE state IN ('seen', 'recorded', 'duplicate')";
        let [seen, stored, pending, under_way]: [u64; 4] = self.rig.numbers(sql).await?;
        let inbox = self.rig.accounts[0].count("INBOX")? + self.rig.accounts[1].count("INBOX")?;
        for (name, count) in [
            ("mail was in the mailboxes", inbox as u64),
            ("mail was listed and not stored", seen),
            ("mail was stored and not settled", stored),
            ("deliveries were waiting", pending),
            ("deliveries were under way", under_way),
            ("nothing was in hand", u64::from(inbox as u64 + seen + stored + pending == 0)),
        ] {
            *self.figures.in_hand.entry(name).or_default() += u64::from(count > 0);
        }
        Ok(())
    }
}

async fn reached(rig: &Rig, worker: &Worker, Goal { progress, from }: &Goal) -> Result<bool> {
    let logged_in = || Ok::<_, anyhow::Error>(worker.stderr()?.contains("logged in"));
    Ok(match progress {
        Progress::Started => true,
        Progress::LoggedIn => logged_in()?,
        Progress::Recorded(count) => rig.standing().await?.recorded >= from.recorded + count,
        Progress::Settled(count) => rig.standing().await?.settled >= from.settled + count,
        Progress::Sent(count) => rig.sent() >= from.sent + count,
        Progress::TookOver => {
            let left = format!(
                "SELECT count(*) FROM ledger WHERE state IN ('recorded', 'duplicate') AND recorded_at < '{}'",
                from.at
            );
            logged_in()? && rig.numbers(&left).await? == [0]
        }
    })
}

async fn kill(worker: &mut Worker) -> Result<()> {
    worker.signal(Signal::KILL)?;
    worker.wait(LIMIT).await?;
    sound(worker)
}

/// A worker whose database breaks before it has begun its work gives up, and says so to its supervisor.
fn gave_up(worker: &mut Worker) -> Result<()> {
    let status = worker.ended()?.context("it is running")?;
    let said = worker.stderr()?;
    ensure!(status.code() == Some(1) && said.contains("postroom: "), "{status}\n{}", worker.log_tail());
    Ok(())
}

/// Whatever was done to it, it must not have found itself in a state that it does not know.
fn sound(worker: &Worker) -> Result<()> {
    let said = worker.stderr()?;
    ensure!(!said.contains("panicked at") && !said.contains("please report"), "{}", worker.log_tail());
    Ok(())
}

pub(crate) fn died_by(status: ExitStatus, signal: Signal) -> bool {
    status.signal() == Some(signal.as_raw())
}

import { randomBytes } from 'node:crypto';
import { secondsSince, type BootPoint } from '../core/lease.js';

/** A question is put again at once on a hint or a new root, while the answer to the one before is on its way. */
const QUESTIONS_MAX = 4;
/** As long as an answer is ever waited for (`answerBackoff`): one held back for longer must not renew a lease. */
const ANSWER_SECONDS_MAX = 300;

interface Question {
  readonly nonce: string;
  readonly askedAt: BootPoint;
  /** A later question has its answer: what this one's says is older than what is known. */
  overtaken: boolean;
}

/** The nonces to which an answer may still come, oldest first. Each is good for one. */
export class OpenQuestions {
  private questions: Question[] = [];

  /** A new nonce. Beyond the fourth, the oldest that is open is given up. */
  ask(now: BootPoint): string {
    const nonce = randomBytes(16).toString('hex');
    this.questions = [...this.open(now), { nonce, askedAt: now, overtaken: false }].slice(-QUESTIONS_MAX);
    return nonce;
  }

  nonces(now: BootPoint): readonly string[] {
    return this.open(now).map(({ nonce }) => nonce);
  }

  /** Whether the answer to this one says something new. */
  answer(nonce: string): boolean {
    const at = this.questions.findIndex((question) => question.nonce === nonce);
    const [answered] = at < 0 ? [] : this.questions.splice(at, 1);
    for (const earlier of this.questions.slice(0, Math.max(at, 0))) earlier.overtaken = true;
    return answered !== undefined && !answered.overtaken;
  }

  private open(now: BootPoint): readonly Question[] {
    return this.questions.filter(({ askedAt }) => secondsSince(askedAt, now) <= ANSWER_SECONDS_MAX);
  }
}

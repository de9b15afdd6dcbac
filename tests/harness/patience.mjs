// Waiting for a condition, with a bound. No test sleeps: it says what it waits
// for, and a wait that is not met fails with that sentence.

/** How long a condition may take, in milliseconds, on a busy machine with two cores. */
export const PATIENCE_MS = Number(process.env.TEST_PATIENCE_MS ?? 20_000);

/** The promise's result, or an error that says what did not happen in time. */
export async function within(promise, what, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks `probe` again and again until it answers something truthy, which is the result. */
export async function eventually(probe, what, ms = PATIENCE_MS) {
  const deadline = Date.now() + ms;
  let last;
  for (;;) {
    try {
      const found = await probe();
      if (found) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`not within ${ms} ms: ${what}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A list that others push to and a test waits on. */
export class Feed {
  #items = [];
  #waiters = new Set();
  #ended;

  get items() {
    return this.#items;
  }

  push(item) {
    this.#items.push(item);
    for (const waiter of [...this.#waiters]) waiter.look();
  }

  /** Nothing more will come: those who wait fail at once, with the reason. */
  end(reason) {
    this.#ended = reason;
    for (const waiter of [...this.#waiters]) waiter.look();
  }

  /** The first item that `wanted` accepts, already there or still to come. */
  find(wanted, what, ms = PATIENCE_MS) {
    return this.#wait(() => this.#items.find(wanted), what, ms);
  }

  /** At least `count` items that `wanted` accepts. */
  async count(wanted, count, what, ms = PATIENCE_MS) {
    return this.#wait(() => {
      const found = this.#items.filter(wanted);
      return found.length >= count ? found : undefined;
    }, what, ms);
  }

  /** Takes the oldest item out. */
  take(what, ms = PATIENCE_MS) {
    return this.#wait(() => (this.#items.length ? { item: this.#items.shift() } : undefined), what, ms)
      .then(({ item }) => item);
  }

  #wait(probe, what, ms) {
    return new Promise((resolve, reject) => {
      const waiter = {};
      const done = (settle, value) => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        settle(value);
      };
      waiter.look = () => {
        const found = probe();
        if (found !== undefined) done(resolve, found);
        else if (this.#ended) done(reject, new Error(`${what}: will not happen, ${this.#ended}`));
      };
      const timer = setTimeout(() => {
        const seen = this.#items.slice(-8).map((item) => JSON.stringify(item)).join('\n  ');
        done(reject, new Error(`not within ${ms} ms: ${what}; last seen:\n  ${seen}`));
      }, ms);
      this.#waiters.add(waiter);
      waiter.look();
    });
  }
}

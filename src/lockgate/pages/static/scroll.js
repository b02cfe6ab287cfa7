// Keeps the end of a growing element in view until its reader scrolls up, and again once they are back at the end.

const NEAR_PX = 32;

export class Follower {
  #element;
  #isFollowing = true;
  #top = 0;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
    element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
  }

  /** Call after the element grew. */
  follow() {
    if (this.#isFollowing) this.#element.scrollTop = this.#element.scrollHeight;
  }

  /** Stop, because something else is being shown on purpose. */
  rest() {
    this.#isFollowing = false;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#element;
    // Only a reader moves up; this page itself only ever moves to the end.
    if (scrollTop < this.#top - 1) this.#isFollowing = false;
    if (scrollTop + clientHeight > scrollHeight - NEAR_PX) this.#isFollowing = true;
    this.#top = scrollTop;
  }
}

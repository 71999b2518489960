// Keeps what the room is sent equal to what the switches say, one change after the other.

import { type LocalPublication, ParleyError, type Room } from "@parley-rtc/sdk";
import { effect } from "@preact/signals";
import type { Capture } from "./capture.js";
import { say } from "./toasts.js";

export class Publisher {
  readonly #room: Room;
  readonly #capture: Capture;
  readonly #may: () => boolean;
  readonly #dispose: () => void;
  #publication: LocalPublication | undefined;
  #work: Promise<void> = Promise.resolve();
  #isOver = false;

  /** May tells, as a signal does, whether one may publish what the capture gives. */
  constructor(room: Room, capture: Capture, may: () => boolean) {
    this.#room = room;
    this.#capture = capture;
    this.#may = may;
    this.#dispose = effect(() => {
      void may();
      void capture.on.value;
      void capture.state.value;
      // Silence does not wait for its turn: what the microphone hears now is nobody's business.
      if (!capture.on.value && capture.track) capture.track.enabled = false;
      this.#work = this.#work.then(() => this.#settle()).catch((reason: unknown) => this.#failed(reason));
    });
  }

  close(): void {
    this.#isOver = true;
    this.#dispose();
  }

  async #settle(): Promise<void> {
    if (this.#isOver || !this.#may()) return; // what was published the room has withdrawn
    const { track } = this.#capture;
    const wanted = this.#capture.on.value && track !== undefined;
    const publication = this.#current();
    if (!wanted) {
      await publication?.mute();
      return;
    }
    if (!publication) {
      track.enabled = true;
      this.#publication = await this.#room.publish(track, { source: this.#capture.device });
      return;
    }
    await publication.replaceTrack(track);
    await publication.unmute();
    track.enabled = true;
  }

  /** The publication, unless it has ended by itself. */
  #current(): LocalPublication | undefined {
    const known = this.#publication;
    return known && this.#room.localParticipant.publications.get(known.id) === known ? known : undefined;
  }

  #failed(reason: unknown): void {
    if (this.#isOver || !this.#may()) return;
    const error = reason instanceof ParleyError ? reason : undefined;
    say(`The ${this.#capture.device} could not be sent to the room.`, error?.next ?? "Switch it off and on again.");
  }
}

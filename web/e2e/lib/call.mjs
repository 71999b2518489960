// A call: the server, and people in one room. Everything ends with close, whatever has been started.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Person, outFolder } from './browser.mjs';
import { Lab } from './lab.mjs';
import { Server, origin } from './server.mjs';

export class Call {
  people = [];

  /** Starts the server, and a browser for each of people: [['ann', 'chromium', 1], …]. */
  static start(name, people, ...flags) {
    return Call.startAt({ origin, prefix: [] }, name, people, ...flags);
  }

  /** The same with the server somewhere else, and people where a fourth part of theirs says. */
  static async startAt(at, name, people, ...flags) {
    const call = new Call();
    call.name = name;
    call.origin = at.origin;
    try {
      call.server = await Server.startAt(at, name, ...flags);
      for (const [who, kind, number, namespace] of people) await call.person(who, kind, number, namespace);
    } catch (error) {
      await call.close();
      throw error;
    }
    return call;
  }

  /** The same with the server in a lab, which ends with the call: peopleOf(lab) gives who is there. */
  static async startInLab(name, peopleOf) {
    const lab = new Lab();
    try {
      await lab.connect();
      const call = await Call.startAt(lab, name, peopleOf(lab));
      call.lab = lab;
      return call;
    } catch (error) {
      lab.close();
      throw error;
    }
  }

  /** Ann, with a browser of this kind, behind the router of a lab, and bob beside its server: they see and hear each other. */
  static async acrossLab(name, kind) {
    const call = await Call.startInLab(name, (lab) => [['ann', kind, 1], ['bob', 'chromium', 2, lab.server]]);
    try {
      await call.meet('tea');
      await call.allSeeAndHear();
    } catch (error) {
      await call.close();
      throw error;
    }
    return call;
  }

  /** One more browser with an empty page. */
  async person(name, kind, number, namespace) {
    const person = await Person.start(kind, name, number, namespace);
    this.people.push(person);
    await person.open(this.origin);
    return (this[name] = person);
  }

  /** Everybody joins the room and publishes camera and microphone. */
  async meet(room) {
    await Promise.all(this.people.map(async (person) => {
      await person.evaluate(() => e2e.openCamera());
      await person.evaluate((options) => e2e.enter(options), { room, identity: person.name, name: person.name });
      await person.evaluate(() => e2e.publish(e2e.camera));
    }));
  }

  /** Runs check(viewer, other) for everybody with everybody else, one viewer after the other. */
  async each(check) {
    for (const viewer of this.people) {
      for (const other of this.people) if (other !== viewer) await check(viewer, other);
    }
  }

  /** Everybody sees and hears everybody else. */
  async allSeeAndHear(note = () => {}) {
    await this.each(async (viewer, other) => {
      const seen = await viewer.evaluate((name, looks) => e2e.see(name, looks), other.name, other.looks);
      const heard = await viewer.evaluate((name, hz) => e2e.listen(name, hz), other.name, other.frequency);
      note(`${viewer.name} sees ${other.name} (${seen.framesDecoded} frames, ${seen.codec}) and hears ${Math.round(heard.frequency)} Hz`);
    });
  }

  /** What everybody has connected and published: another text once something was connected or published anew. */
  async identity() {
    const all = this.people.map((person) => person.evaluate(() => [e2e.connections.length, ...Object.values(e2e.published).map((p) => p.id)].join()));
    return (await Promise.all(all)).join('; ');
  }

  /** Leaves a picture of every page in out/, and what the pages said, for a person who looks for the cause of a failure. */
  async #evidence() {
    mkdirSync(outFolder, { recursive: true });
    const lines = [];
    for (const person of this.people) {
      await person.screenshot(`${this.name}-${person.name}`).catch(() => {}); // its browser may be what failed
      lines.push(...person.log.map((line) => `${person.name}: ${line}\n`));
    }
    writeFileSync(path.join(outFolder, `${this.name}-pages.log`), lines.join(''));
  }

  async close() {
    await this.#evidence();
    await Promise.all(this.people.map((person) => person.close()));
    await this.server?.stop();
    this.lab?.close();
  }
}

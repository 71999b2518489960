// The one panel beside the call, a sheet at the bottom on phones.

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Call } from "../state/call.js";
import { type Panel, panel } from "../state/view.js";
import { ChatPanel } from "./chat.js";
import { useFocusWhileOpen } from "./focus.js";
import { Icon } from "./icon.js";
import { NotesPanel } from "./notes.js";
import { PeoplePanel } from "./people.js";
import { StatisticsPanel } from "./statistics.js";
import { isTouch } from "./tile.js";

const titles: Record<Exclude<Panel, "none">, string> = { chat: "Chat", people: "People", notes: "Notes", statistics: "Statistics" };

export function SidePanel({ call }: { readonly call: Call }): JSX.Element | null {
  const which = panel.value;
  if (which === "none" || (which === "notes" && !call.notes.value)) return null;
  return <Open key={which} which={which} call={call} />;
}

function Open({ which, call }: { readonly which: Exclude<Panel, "none">; readonly call: Call }): JSX.Element {
  const section = useRef<HTMLElement>(null);
  // A touched screen's keyboard would cover what is there to read.
  useFocusWhileOpen(section, (it) => (isTouch() ? null : it.querySelector("textarea")));
  return (
    <section id="panel" class="panel" ref={section} tabIndex={-1} aria-labelledby="panel-title">
      <header>
        <h2 id="panel-title">{titles[which]}</h2>
        <button type="button" class="quiet" aria-label="Close" data-tip="Close (Esc)" onClick={() => (panel.value = "none")}>
          <Icon name="close" />
        </button>
      </header>
      {contentOf(which, call)}
    </section>
  );
}

function contentOf(which: Exclude<Panel, "none">, call: Call): JSX.Element | null {
  switch (which) {
    case "chat":
      return <ChatPanel call={call} />;
    case "people":
      return <PeoplePanel call={call} />;
    case "notes":
      return call.notes.value ? <NotesPanel call={call} notes={call.notes.value} /> : null;
    case "statistics":
      return <StatisticsPanel call={call} />;
  }
}

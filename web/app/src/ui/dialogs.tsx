// Dialogs of a call. The platform's dialog keeps the focus inside and gives it back.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { deviceAdvice } from "../pure/advice.js";
import { invitationCommand } from "../pure/invitation.js";
import { refusals, whoAllows } from "../pure/may.js";
import type { Board, Call, Person } from "../state/call.js";
import { findDevices } from "../state/devices.js";
import { copy, copyLink, linkOf } from "../state/link.js";
import { shortcuts, shortcutsOn, switchShortcuts } from "../state/shortcuts.js";
import { say } from "../state/toasts.js";
import { closeDialog, dialog } from "../state/view.js";
import { AdviceNote } from "./advice.js";
import { DeviceChoices, SoundMeter } from "./devices.js";
import { Icon } from "./icon.js";

export function Dialogs({ call }: { readonly call: Call }): JSX.Element | null {
  const open = dialog.value;
  switch (open.is) {
    case "none":
      return null;
    case "devices":
      return <DevicesDialog call={call} />;
    case "shortcuts":
      return <ShortcutsDialog />;
    case "invite":
      return <InviteDialog room={call.room} />;
    case "remove":
      return <RemoveDialog call={call} person={open.person} />;
    case "wipe":
      return <WipeDialog board={open.board} />;
  }
}

function Dialog({ title, children }: { readonly title: string; readonly children: ComponentChildren }): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const opened = element.current;
    opened?.showModal();
    return () => opened?.close(); // while it is in the page: else the focus would not go back
  }, []);
  return (
    <dialog
      ref={element}
      class="dialog"
      aria-labelledby="dialog-title"
      onClose={closeDialog}
      onClick={(e) => {
        if (e.target === element.current) closeDialog(); // beside it
      }}
    >
      <div class="dialog-body">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <button type="button" class="quiet" aria-label="Close" onClick={closeDialog}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

function DevicesDialog({ call }: { readonly call: Call }): JSX.Element {
  const captures = [call.camera, call.microphone];
  useEffect(() => void findDevices(), []);
  const { microphone, camera } = call.may.value;
  if (!microphone && !camera) {
    return (
      <Dialog title="Devices">
        <p>You watch and listen: nobody sees or hears you, and no camera or microphone is used.</p>
        <DeviceChoices />
      </Dialog>
    );
  }
  return (
    <Dialog title="Devices">
      {captures.map((capture) => {
        const state = capture.state.value;
        return state.is === "failed" ? (
          <AdviceNote key={capture.device} advice={deviceAdvice(state.failure, true)} onRetry={() => void capture.switchOn().then(findDevices)} />
        ) : null;
      })}
      <DeviceChoices {...(microphone && { microphone: call.microphone })} {...(camera && { camera: call.camera })} />
      {microphone ? (
        <>
          <SoundMeter microphone={call.microphone} />
          <p class="soft">{call.microphone.on.value ? "The bar moves when your microphone hears you." : "Your microphone is off."}</p>
        </>
      ) : (
        <p class="soft">{`${refusals.microphone}. ${whoAllows}`}</p>
      )}
      {!camera && <p class="soft">{`${refusals.camera}. ${whoAllows}`}</p>}
    </Dialog>
  );
}

function ShortcutsDialog(): JSX.Element {
  return (
    <Dialog title="Keyboard shortcuts">
      <dl class="shortcuts">
        {shortcuts.map(({ key, does }) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input type="checkbox" checked={shortcutsOn.value} onChange={(e) => switchShortcuts(e.currentTarget.checked)} />
        Use single keys as shortcuts
      </label>
    </Dialog>
  );
}

function InviteDialog({ room }: { readonly room: string }): JSX.Element {
  return (
    <Dialog title="Invite others">
      <p>The link alone lets nobody in, and your invitation is only for you. Whoever runs this server makes one for each guest:</p>
      <ToCopy text={invitationCommand(room)} label="Copy the command" onCopy={(text) => copy(text, "Command copied")} />
      <p>What the command prints goes behind the link, at once after the last sign:</p>
      <ToCopy text={`${linkOf(room)}#token=`} label="Copy the link" onCopy={(text) => copyLink(text, "Link copied: the invitation goes behind it")} />
    </Dialog>
  );
}

interface ToCopyProps {
  readonly text: string;
  readonly label: string;
  readonly onCopy: (text: string) => Promise<void>;
}

function ToCopy({ text, label, onCopy }: ToCopyProps): JSX.Element {
  return (
    <div class="link">
      <code class="link-text">{text}</code>
      <button
        type="button"
        class="small"
        onClick={() => {
          closeDialog(); // it would cover what is said
          void onCopy(text);
        }}
      >
        <Icon name="copy" /> {label}
      </button>
    </div>
  );
}

function RemoveDialog({ call, person }: { readonly call: Call; readonly person: Person }): JSX.Element {
  const remove = async (): Promise<void> => {
    closeDialog();
    try {
      await call.kick(person.identity);
    } catch {
      say(`${person.name} could not be removed.`, "Perhaps they have just left. Try again.");
    }
  };
  return (
    <Dialog title={`Remove ${person.name}?`}>
      <p>Their call ends at once. They can come back if they still have the link.</p>
      <div class="dialog-actions">
        <button type="button" autoFocus onClick={closeDialog}>
          Cancel
        </button>
        <button type="button" class="danger" onClick={() => void remove()}>
          Remove
        </button>
      </div>
    </Dialog>
  );
}

function WipeDialog({ board }: { readonly board: Board }): JSX.Element {
  const wipe = (): void => {
    closeDialog();
    board.wipe();
  };
  return (
    <Dialog title="Wipe the whiteboard?">
      <p>What everyone has drawn is gone then, for everyone.</p>
      <div class="dialog-actions">
        <button type="button" autoFocus onClick={closeDialog}>
          Cancel
        </button>
        <button type="button" class="danger" onClick={wipe}>
          Wipe
        </button>
      </div>
    </Dialog>
  );
}

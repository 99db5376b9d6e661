import { Kbd, Modal } from '@mantine/core';
import style from './KeySheet.module.css';
import { KEYS } from './keys.ts';

export function KeySheet({ onClose }: { onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title="Keys" size="md" closeButtonProps={{ 'aria-label': 'Close' }}>
      <dl className={style.keys}>
        {KEYS.map(({ keys, does }) => (
          <div key={does} className={style.line}>
            <dt>{does}</dt>
            <dd>
              {keys.map((key) => (
                <Kbd key={key}>{key}</Kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
      <p className="faint">Letters are off while you type. Browser keys are left alone.</p>
    </Modal>
  );
}

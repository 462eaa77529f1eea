// The few signs of the page, drawn in the colour of the text beside them. They say nothing that the text does not.

const paths = {
  now: 'M3 12h4l2.5-7 5 14L17 12h4',
  orders: 'M6 4h12v16l-3-2-3 2-3-2-3 2zM9.5 9h5M9.5 13h5',
  stock: 'M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8',
  payments: 'M3.5 6.5h17v11h-17zM3.5 10.5h17M7 14.5h3',
  letters: 'M4 6h16v12H4zM4 7l8 6 8-6',
  webhooks: 'M8 17a3.5 3.5 0 1 1 2.6-5.9L14 6M12 4.5a3.5 3.5 0 1 1 1 6.6M16 17h-6m6 0a3 3 0 1 0 0-3',
  chaos: 'M13 3L5 14h6l-1 7 8-11h-6z',
  health: 'M12 20s-7.5-4.6-7.5-10A4.3 4.3 0 0 1 12 7.3 4.3 4.3 0 0 1 19.5 10C19.5 15.4 12 20 12 20z',
  menu: 'M4 7h16M4 12h16M4 17h16',
  search: 'M10.5 17a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13zM15.5 15.500L20 20',
  check: 'M5 12.500l4.5 4.500L19 7.5',
  warning: 'M12 4l9 16H3zM12 10v4.500M12 17.200v.3',
  light:
    'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.600L7 7M17 17l1.4 1.400M5.6 18.400L7 17M17 7l1.4-1.4',
  dark: 'M19.5 14.500A8 8 0 0 1 9.5 4.500a8 8 0 1 0 10 10z',
  system: 'M4 5h16v11H4zM9 20h6M12 16v4',
  pause: 'M8.5 5.500v13M15.5 5.500v13',
  play: 'M8 5l11 7-11 7z',
  leave: 'M10 4H5v16h5M14 8l4 4-4 4M18 12H9',
  close: 'M6 6l12 12M18 6L6 18',
} as const

export type IconName = keyof typeof paths

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={paths[name]} />
    </svg>
  )
}

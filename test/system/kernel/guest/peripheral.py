"""A peripheral that bluetoothd serves: RDV's GATT service and an advert, as programs on Linux offer them over D-Bus.

Usage: peripheral.py ADAPTER SERVICE WRITE NOTIFY ADVERT-HEX. Prints "written HEX" for what a central writes, notifies
what comes as lines of hexadecimal digits on standard input.
"""
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

ADAPTER, SERVICE, WRITE, NOTIFY, ADVERT = sys.argv[1:]
PROPERTIES = 'org.freedesktop.DBus.Properties'
GATT = 'org.bluez.GattCharacteristic1'
NAMES = {'service': 'org.bluez.GattService1', 'write': GATT, 'notify': GATT, 'advert': 'org.bluez.LEAdvertisement1'}


def octets(text):
    return dbus.Array(bytes.fromhex(text), signature='y')


def say(*words):
    print(*words, flush=True)


class Thing(dbus.service.Object):
    """One object on the bus: what BlueZ reads of it are its properties."""

    def __init__(self, name, **properties):
        self.path = '/rdv/' + name
        self.interface = NAMES[name]
        self.properties = properties
        super().__init__(dbus.SystemBus(), self.path)

    @dbus.service.method(PROPERTIES, in_signature='s', out_signature='a{sv}')
    def GetAll(self, _interface):
        return self.properties

    @dbus.service.signal(PROPERTIES, signature='sa{sv}as')
    def PropertiesChanged(self, interface, changed, invalidated):
        pass

    @dbus.service.method(GATT, in_signature='aya{sv}')
    def WriteValue(self, value, _options):
        say('written', bytes(value).hex())

    @dbus.service.method(GATT)
    def StartNotify(self):
        say('subscribed')

    @dbus.service.method(GATT)
    def StopNotify(self):
        say('unsubscribed')

    @dbus.service.method('org.bluez.LEAdvertisement1')
    def Release(self):
        say('the advert is off')


class Application(dbus.service.Object):
    @dbus.service.method('org.freedesktop.DBus.ObjectManager', out_signature='a{oa{sa{sv}}}')
    def GetManagedObjects(self):
        return {thing.path: {thing.interface: thing.properties} for thing in (service, write, notify)}


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
loop = GLib.MainLoop()
of_service = dbus.ObjectPath('/rdv/service')
service = Thing('service', UUID=SERVICE, Primary=True)
write = Thing('write', UUID=WRITE, Service=of_service, Flags=['write', 'write-without-response'])
notify = Thing('notify', UUID=NOTIFY, Service=of_service, Flags=['notify'])
data = dbus.Dictionary({SERVICE: octets(ADVERT)}, signature='sv')
advert = Thing('advert', Type='peripheral', ServiceData=data)
application = Application(dbus.SystemBus(), '/rdv')


def typed(source, _condition):
    line = source.readline()
    notify.PropertiesChanged(GATT, {'Value': octets(line.strip())}, [])
    return True


def failed(error):
    say('failed:', error)
    loop.quit()


adapter = dbus.SystemBus().get_object('org.bluez', '/org/bluez/' + ADAPTER)
dbus.Interface(adapter, PROPERTIES).Set('org.bluez.Adapter1', 'Powered', True)
gatt = dbus.Interface(adapter, 'org.bluez.GattManager1')
adverts = dbus.Interface(adapter, 'org.bluez.LEAdvertisingManager1')


def registered():
    adverts.RegisterAdvertisement(advert.path, {}, reply_handler=lambda: say('serving'), error_handler=failed)


gatt.RegisterApplication('/rdv', {}, reply_handler=registered, error_handler=failed)
GLib.io_add_watch(sys.stdin, GLib.IO_IN, typed)
loop.run()

"""Tests of chat.py with unittest. Usage: python examples/testing/test_with_unittest.py"""

import unittest

from chat import greet

from syncws import InvalidStatus
from syncws.testing import ScriptedServer


class GreetTest(unittest.TestCase):
    def setUp(self):
        self.server = ScriptedServer()
        self.addCleanup(self.server.close)  # fails the test if the script was not kept

    def test_greet(self):
        self.server.expect("I am Ada").send("Hello Ada!").expect_close(1000)
        self.assertEqual(greet(self.server.url, "Ada"), "Hello Ada!")

    def test_refused(self):
        self.server.refuse(403)
        with self.assertRaises(InvalidStatus):
            greet(self.server.url, "Ada")


if __name__ == "__main__":
    unittest.main()
